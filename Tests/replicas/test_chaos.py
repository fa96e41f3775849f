"""A short run of chaos.py. `chaos.py --seconds 600` is a long one."""

import os

from chaos import run, tell


def test_nothing_is_lost_doubled_or_read_too_old_under_faults():
    # Another seed each time would find more, but a failure has to come again.
    history, findings, faults = run(70, int(os.environ.get("NEARFAR_CHAOS_SEED", "7")))
    told = tell(history, findings, faults)
    assert findings == []
    assert told["writes"] > 500 and told["reads"] > 1500 and told["digests_compared"] > 100
    assert sum(faults.values()) >= 12 and len(faults) == 4, faults
