"""A stage, run to its end as the program runs it, but with nobody watching."""


def run(stage):
    """The events of a stage, and its report."""
    events = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as end:
            return events, end.value


def finish(stage):
    """The report of a stage, whatever it yields on the way."""
    _events, report = run(stage)
    return report
