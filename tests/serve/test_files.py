"""Uploads: the store by itself, and the official client."""

import io
from pathlib import Path

import openai
import pytest

from tests.serve.asking import user
from tests.serve.running import MODEL
from vl3.errors import UserError
from vl3.serve.files import FileStore, NoSuchFileError, StoreFullError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> FileStore:
    return FileStore(tmp_path / "files", quota_bytes=100, expiry_s=60, clock=clock)


def save(store: FileStore, data: bytes, owner: str = "me", name: str = "a.mp4") -> str:
    return store.save(owner, io.BytesIO(data), name, "user_data").id


def test_the_same_bytes_are_kept_once(store: FileStore) -> None:
    one, again, other = save(store, b"abc"), save(store, b"abc", name="b.mp4"), save(store, b"abd")
    assert one == again != other
    assert store.used_bytes() == 6
    assert {file.id: file.filename for file in store.list("me")} == {one: "b.mp4", other: "a.mp4"}
    assert store.path("me", one).read_bytes() == b"abc"


def test_owners_are_apart(store: FileStore) -> None:
    identity = save(store, b"abc")
    for call in (store.get, store.path, store.delete):
        with pytest.raises(NoSuchFileError):
            call("you", identity)
    assert store.list("you") == []
    save(store, b"abc", "you")
    store.delete("you", identity)
    assert store.path("me", identity).exists()


def test_a_file_goes_when_it_was_not_used_for_long(store: FileStore, clock: Clock) -> None:
    identity = save(store, b"abc")
    clock.now += 59
    store.path("me", identity)
    clock.now += 59
    assert store.get("me", identity).bytes == 3
    assert store.expires_at("me", identity) == 1000 + 59 + 60
    clock.now += 2
    with pytest.raises(NoSuchFileError, match="may have expired"):
        store.get("me", identity)
    assert store.used_bytes() == 3
    store.sweep()
    assert store.used_bytes() == 0


def test_quota(store: FileStore, clock: Clock) -> None:
    save(store, bytes(60))
    with pytest.raises(StoreFullError, match="the store of 100 bytes is full"):
        save(store, bytes(41), "you")
    save(store, bytes(60))  # it is there already
    save(store, bytes(40), "you")
    assert store.used_bytes() == 100
    clock.now += 61
    save(store, bytes(100))  # makes room of what has expired
    assert store.used_bytes() == 100


def test_nothing_is_left_of_an_upload_that_broke_off(store: FileStore, tmp_path: Path, clock: Clock) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        store.save("me", Broken(), "a", "user_data")
    assert list((tmp_path / "files" / "me").iterdir()) == []
    (tmp_path / "files" / "me" / "x.part").write_bytes(b"of a process that was killed")
    FileStore(tmp_path / "files", 100, 60, clock)
    assert list((tmp_path / "files" / "me").iterdir()) == []


def test_files_outlive_the_process(store: FileStore, tmp_path: Path, clock: Clock) -> None:
    identity = save(store, b"abc")
    assert FileStore(tmp_path / "files", 100, 60, clock).get("me", identity).filename == "a.mp4"


@pytest.mark.parametrize(
    "identity", ["", "x", "../me/file", "file-" + "0" * 31, "file-" + "G" * 32, "file-" + "0" * 32]
)
def test_ids_that_are_none(store: FileStore, identity: str) -> None:
    with pytest.raises(NoSuchFileError):
        store.path("me", identity)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="uploads cannot be kept here"):
        FileStore(tmp_path / "file" / "below", 100, 60)


def test_upload_ask_list_delete(client: openai.OpenAI, folder: Path) -> None:
    with (folder / "clip.mp4").open("rb") as file:
        stored = client.files.create(file=file, purpose="user_data")
    assert stored.filename == "clip.mp4"
    assert stored.bytes == (folder / "clip.mp4").stat().st_size
    assert stored.expires_at is not None
    assert stored.expires_at > stored.created_at
    for part in (
        {"type": "file", "file": {"file_id": stored.id, "fps": 2}},
        {"type": "input_video", "input_video": {"file_id": stored.id, "fps": 2}},
    ):
        said = client.chat.completions.create(model=MODEL, messages=[user(part, "?")], max_tokens=2)  # type: ignore[list-item]
        assert len(said.vl3["frame_times_s"][0]) == 8  # type: ignore[attr-defined]
    kept = client.files.retrieve(stored.id)
    assert kept.expires_at is not None
    assert kept.expires_at >= stored.expires_at  # asking about a file keeps it
    assert kept == stored.model_copy(update={"expires_at": kept.expires_at})
    assert stored.id in [file.id for file in client.files.list()]
    assert client.files.delete(stored.id).deleted
    for call in (client.files.retrieve, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="no such file"):
            call(stored.id)
