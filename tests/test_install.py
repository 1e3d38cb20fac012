"""The installers: what they choose for a card, a real run on a small list of packages, and what they say when something is wrong.

`install.ps1` is only read by a parser of PowerShell's grammar here: nothing in these tests runs it.
"""

import ensurepip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
PIP = str(Path(ensurepip.__file__).parent / "_bundled")  # pip's own wheel, which comes with every Python
# nvidia-smi's answer to memory.total, driver_version, compute_cap, name; and the index of PyTorch that it leads to.
CARDS = {
    "24564, 581.15, 8.9, NVIDIA GeForce RTX 4090": "cu130",
    "12288, 580.65.06, 8.6, NVIDIA GeForce RTX 3060": "cu130",
    "15360, 550.54.15, 7.5, Tesla T4": "cu126",
    "16303, 572.83, 12.0, NVIDIA GeForce RTX 5080": "cu128",
    "8192, 580.88, 6.1, NVIDIA GeForce GTX 1080": "cu126",
    "4096, 470.82.01, 7.5, NVIDIA GeForce GTX 1650": "cpu",
    "2048, 551.00, 6.1, NVIDIA GeForce GTX 1050\n24564, 551.00, 8.9, NVIDIA GeForce RTX 4090, of two": "cu126",
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.": "cpu",
}


@pytest.fixture
def program(tmp_path):
    """A folder with the installer, a program that starts, and a list of packages that needs no network: one wheel."""
    folder = tmp_path / "Mi programa"
    folder.mkdir()
    for name in ("install.sh", "start.sh"):
        shutil.copy(ROOT / name, folder)
    (folder / "avatar_pipeline.py").write_text("import sys, small\nprint('started', small.NAME, *sys.argv[1:])\n")
    with zipfile.ZipFile(folder / "small-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("small.py", "NAME = 'small'\n")
        wheel.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        wheel.writestr("small-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("small-1.0.dist-info/RECORD", "")
    (folder / "requirements.txt").write_text("./small-1.0-py3-none-any.whl\n")
    (folder / "clients").mkdir()
    (folder / "clients" / "mine.txt").write_text("mine")
    return folder


def install(folder, *words, card="", **environment):
    """Run the installer with a card that nvidia-smi tells of, or with none."""
    tools = folder.parent / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<'END'\n{card}\nEND\n" if card else "#!/bin/sh\nexit 9\n")
    (tools / "nvidia-smi").chmod(0o755)
    clean = {name: value for name, value in os.environ.items() if name not in ("LC_ALL", "LC_MESSAGES", "LANGUAGE", "VIRTUAL_ENV")}
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    clean |= {
        "PATH": path,
        "LANG": "en_US.UTF-8",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_FIND_LINKS": PIP,
        **environment,
    }
    return subprocess.run(["bash", str(folder / "install.sh"), *words], capture_output=True, text=True, env=clean, cwd="/")


@pytest.mark.parametrize(("card", "index"), CARDS.items())
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no card is looked for")
def test_each_card_gets_the_pytorch_that_its_driver_runs(program, card, index):
    (program / "requirements.txt").write_text("torch==2.13.0   # the newest\n")
    told = install(program, "--plan", card=card)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines()[-1] == f"PyTorch: torch==2.13.0, {index}"
    assert not (program / "logs").exists(), "a plan writes nothing"
    assert "torch==2.13.0, cpu" in install(program, "--plan", "--cpu", card=card).stdout


def test_it_installs_and_run_again_it_goes_on(program):
    first = install(program)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.splitlines()[-1] == "Done. Start it with: ./start.sh"
    assert (program / ".venv" / "bin" / "pip").exists(), "doctor and make call it"
    made = (program / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    assert "started small" in subprocess.run([str(program / "start.sh"), "gpu"], capture_output=True, text=True).stdout
    shutil.rmtree(next(program.glob(".venv/lib/python3*/site-packages/small-1.0.dist-info")))
    next(program.glob(".venv/lib/python3*/site-packages/small.py")).unlink()
    again = install(program, LANG="es_ES.UTF-8")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.splitlines()[-1] == "Listo. Ábrelo con: ./start.sh"
    assert (program / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made, "a virtual environment that works stays"
    assert (program / "clients" / "mine.txt").read_text() == "mine"
    logs = sorted((program / "logs").glob("install-*.log"))
    assert logs
    assert "pip install" in logs[0].read_text()


def test_a_virtual_environment_that_is_broken_is_made_anew(program):
    (program / ".venv" / "bin").mkdir(parents=True)
    (program / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    assert install(program).returncode == 0


@pytest.mark.parametrize("language", ["en", "es"])
def test_what_fails_is_told_with_its_cure_and_the_log(program, language):
    (program / "requirements.txt").write_text("no-such-package-of-ours==1.0\n")
    told = install(program, LANG=f"{language}_ES.UTF-8")
    assert told.returncode == 1
    cure = {"en": "Run this again", "es": "Ejecútalo otra vez"}[language]
    assert cure in told.stderr or {"en": "no network", "es": "no hay red"}[language] in told.stderr
    log = re.search(r"logs/install-\S+\.log", told.stderr)[0]
    assert "no-such-package-of-ours" in (program / log).read_text()
    assert not (program / ".venv" / "installed").exists()


def test_wrong_words_and_missing_files_are_told(program):
    assert install(program, "--upgrade").returncode == 2
    assert "There is no file nothing.txt" in install(program, "--requirements", "nothing.txt").stderr


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_of_somebody_else_is_told(program):
    program.chmod(0o555)
    try:
        assert "may not be written to" in install(program).stderr
    finally:
        program.chmod(0o755)


def git(folder, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True).stdout


def test_a_clean_clone_is_brought_up_to_date_and_a_changed_one_is_not(program):
    git(program, "init", "-q", "-b", "main")
    (program / ".gitignore").write_text(".venv/\nlogs/\nclients/\n")
    git(program, "add", ".")
    git(program, "commit", "-qm", "one")
    clone = program.parent / "clone"
    git(program.parent, "clone", "-q", str(program), str(clone))
    (program / "new.txt").write_text("new")
    git(program, "add", ".")
    git(program, "commit", "-qm", "two")
    (clone / "avatar_pipeline.py").write_text("print('mine')\n")
    changed = install(clone)
    assert (changed.returncode, (clone / "new.txt").exists()) == (0, False)
    assert "were changed here" in changed.stdout
    git(clone, "checkout", "--", ".")
    updated = install(clone)
    assert (updated.returncode, (clone / "new.txt").exists()) == (0, True), updated.stdout + updated.stderr
    assert "A newer version is here." in updated.stdout


def test_shellcheck_has_nothing_to_say():
    if not shutil.which("shellcheck", path=str(Path(sys.executable).parent)):
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(
        [str(Path(sys.executable).parent / "shellcheck"), "install.sh", "start.sh"], cwd=ROOT, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout


def test_the_windows_installer_is_powershell_and_says_what_the_other_says():
    import tree_sitter
    import tree_sitter_powershell

    text = (ROOT / "install.ps1").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf"), "without it Windows PowerShell reads ñ as two letters"
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language())).parse(text.removeprefix(b"\xef\xbb\xbf"))
    assert not tree.root_node.has_error
    shell, power = (ROOT / "install.sh").read_text(encoding="utf-8"), text.decode("utf-8-sig")
    for said in ("The disk is full.", "No NVIDIA card:", "Looking for a newer version", "is too old for today's PyTorch"):
        assert said in shell
        assert said in power
    assert sorted(re.findall(r"\bcu\d{3}\b", shell)) == sorted(re.findall(r"\bcu\d{3}\b", power))
