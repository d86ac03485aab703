"""What a crash may leave of a save: record its system calls, rebuild every legal state of the disk, judge each.

    recording = record([sys.executable, "save.py"], folder)        # under strace
    report = examine(recording, read=load_or_none, old=old, new=new)
    assert report.ok, report

`states` enumerates what is legal after a kill (each prefix of the calls) and after a power cut (names and data that
were not synced may be lost, cut or reordered), under an ordered journal and under the bare rules of POSIX. The models
are told in docs/concepts/crash-safety.md.
"""

from tensorkeep.testing._equal import same
from tensorkeep.testing.crash.judge import Report, examine, rebuild
from tensorkeep.testing.crash.model import MODELS, Disk, State, states
from tensorkeep.testing.crash.trace import (
    Call,
    Recording,
    RecordingError,
    have_strace,
    mark,
    record,
    snapshot,
)

__all__ = [
    "MODELS",
    "Call",
    "Disk",
    "Recording",
    "RecordingError",
    "Report",
    "State",
    "examine",
    "have_strace",
    "mark",
    "rebuild",
    "record",
    "same",
    "snapshot",
    "states",
]
