"""Parts of tables that a full disk has spoiled, told by the refusal of whoever reads them.

When the disk fills up while parts are merged, ClickHouse can keep a merged part whose marks were
never written: every read of its table fails from then on. At its next start the engine looks
through all parts, sets such a one aside (in the folder `detached` of its table) and takes up
those out of which it was merged, so that nothing is lost. Hence a server ends when it meets one.
"""

import re
from pathlib import Path

from streams.embedded.refusals import QueryRefused

_CODES = frozenset({33, 40, 107, 228, 246, 1001})
"""CANNOT_READ_ALL_DATA, CHECKSUM_DOESNT_MATCH, FILE_DOESNT_EXIST, NO_FILE_IN_DATA_PART,
CORRUPTED_DATA, and STD_EXCEPTION, which a missing file is at times."""
_PART = re.compile(r"/[^'\"\[\]]+?/store/[0-9a-f]{3}/[0-9a-f-]{36}/[^/'\"\[\]]+")


def spoiled_part(refusal: QueryRefused, started: float) -> Path | None:
    """Return the part that cannot be read and was made after a start (s since the epoch).

    A start has looked through whatever was there before: another would not help. ClickHouse
    gives parts whole seconds.
    """
    named = _PART.search(str(refusal)) if refusal.code in _CODES else None
    if named is None:
        return None
    part = Path(named.group())
    try:
        return part if part.stat().st_mtime >= int(started) else None
    except OSError:
        return None
