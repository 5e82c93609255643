"""What an offline W&B run holds: its .wandb file is a LevelDB log of protocol buffers."""

import struct
from pathlib import Path

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, HEADER = 32_768, 7


def records(folder: Path) -> list[Record]:
    """All records of an offline run's folder, in order."""
    (path,) = folder.glob("run-*.wandb")
    content, place, parts, found = path.read_bytes(), HEADER, b"", []
    while place + HEADER <= len(content):
        if BLOCK - place % BLOCK < HEADER:  # a block's tail is too short for a header
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + HEADER])
        parts += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def history_keys(found: list[Record]) -> set[str]:
    """Everything that was logged over steps."""
    items = (item for record in found if record.HasField("history") for item in record.history.item)
    return {item.key or item.nested_key[0] for item in items}
