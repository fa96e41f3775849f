"""A PostgreSQL server for the tests with replicas, in a temporary folder."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from service import ROOT

SCRIPT = ROOT / "scripts" / "test-database.sh"


class Database:
    def __init__(self):
        self._folder = Path(tempfile.mkdtemp(prefix="nearfar-"))
        # The server runs as another user.
        self._folder.chmod(0o755)
        command = [SCRIPT, "start", self._folder]
        self.url = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120, check=True).stdout.strip()

    def stop(self):
        subprocess.run([SCRIPT, "stop", self._folder], timeout=120, check=True)
        shutil.rmtree(self._folder)
