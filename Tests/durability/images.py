"""Images: data folders as a kill left them, with what was answered until then."""

import copy
import random
import shutil
import time
from dataclasses import dataclass

from content import look
from crash import filled, write_and_kill
from server import Server
from writers import Writer

# Commits are marked as flushed within a second of their answer; this allows for a busy machine.
MARK_SECONDS = 2.5


@dataclass
class Image:
    folder: str
    writers: list[Writer]
    # The version of the last check.
    before: int
    # The lowest version that may be found when the end of the log is lost, or None when everything that was answered must be.
    floor: int | None
    name: str

    def copy_to(self, folder: str) -> list[Writer]:
        """Copies the folder, and returns a copy of its writers."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return copy.deepcopy(self.writers)


def images(binary: str, top: str, seed: int):
    """Yields images endlessly. In every second one, the kill came some time after the last write."""
    generator = random.Random(seed)
    live = f"{top}/live"
    writers, before = filled(binary, live, seed)
    number = 0
    while True:
        number += 1
        idle = 1.6 if number % 2 == 0 else 0
        write_and_kill(Server(binary, live), writers, generator.choice([0.4, 1.5, 4]), idle)
        killed = time.monotonic()
        floor = None
        if idle == 0:
            floor = max((v for w in writers for v, _, when in w.log if killed - when > MARK_SECONDS), default=before)
        kept = f"{top}/image"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(live, kept)
        yield Image(kept, copy.deepcopy(writers), before, floor, f"image {number}{' (idle)' if idle else ''}")
        server = Server(binary, live)
        client = server.client()
        problems, before = look(client, writers, before, seed)
        client.close()
        assert not problems, problems
        # A clean stop saves the graph. After a kill, the next image has an older graph.
        if generator.random() < 0.5:
            server.stop()
        else:
            server.kill()
