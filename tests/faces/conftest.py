"""MTCNN and the network that knows people, loaded once for the tests of a file."""

import pytest

from faces.detector import MtcnnDetector
from faces.identity import FaceRecogniser


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    return MtcnnDetector()


@pytest.fixture(scope="module")
def recogniser() -> FaceRecogniser:
    return FaceRecogniser()
