"""The client without sockets, with a clock and a server that the test plays."""

import hashlib
import os
from pathlib import Path

import pytest

from sidecar import protocol
from sidecar.protocol import CHUNK, Answered, Connection, FileSource, Link, Session, Told, decode, encode

JOB = "abcdefgh1"


class Played:
    """A session whose server is the test."""

    def __init__(self, inbox: Path) -> None:
        self.now = 0.0
        connection = Connection(dict.fromkeys(protocol.CHANNELS, ""), "", "", "", str(inbox), 0, "")
        self.session = Session(connection, clock=lambda: self.now)
        assert [item.kind for item in self.sent()] == ["hello"]
        self.say(protocol.Welcome(rid=1, version=1, server="test", epoch="one", job_kinds=[]))

    def sent(self) -> list[protocol.Message]:
        items = [(channel, decode(frame, sender="client")) for channel, frame in self.session.outgoing()]
        assert all(item.channel == channel for channel, item in items)
        return [item for _, item in items]

    def say(self, item: protocol.Message) -> list[protocol.Happening]:
        return self.session.receive(encode(item))

    def later(self, seconds: float) -> list[protocol.Happening]:
        self.now += seconds
        return self.session.tick()


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path / "no inbox here")


def info(**fields: object) -> protocol.JobInfo:
    return protocol.JobInfo(job=JOB, job_kind="generate", status="queued", **fields)  # type: ignore[arg-type]


def test_an_unanswered_request_is_sent_again_as_it_was(played: Played) -> None:
    rid = played.session.request(protocol.Cancel(job=JOB))
    first = played.sent()
    played.later(protocol.RETRY_SECONDS + 0.1)
    assert [item for item in played.sent() if item.kind == "cancel"] == first
    happened = played.say(protocol.JobReply(rid=rid, info=info()))
    assert [type(h) for h in happened] == [Answered]
    assert played.say(protocol.JobReply(rid=rid, info=info())) == [], "the answer to the second sending is ignored"
    played.later(protocol.RETRY_SECONDS + 0.1)
    assert [item.kind for item in played.sent()] == ["ping"]


def test_a_silent_server_counts_as_gone_and_comes_back(played: Played) -> None:
    assert played.session.up
    assert played.later(protocol.LOST_SECONDS + 0.1) == [Link(False, "no answer for 10 s")]
    assert played.later(1.0) == []
    assert played.say(protocol.Pong(epoch="one")) == [Link(True, "connected")]


def test_a_new_server_is_asked_everything_again(played: Played) -> None:
    subscription = played.session.subscribe([JOB])
    played.say(protocol.Subscribed(rid=subscription, epoch="one", jobs=[]))
    played.session.request(protocol.GetJob(job=JOB))
    played.sent()
    played.say(protocol.Pong(epoch="two"))
    played.later(0.1)
    assert sorted(item.kind for item in played.sent()) == ["job", "subscribe"]


def test_events_of_an_older_subscription_are_ignored(played: Played) -> None:
    old = played.session.subscribe([JOB])
    new = played.session.subscribe([])
    assert played.say(protocol.JobState(rid=old, info=info())) == []
    assert played.say(protocol.JobState(rid=new, info=info())) == [Told(protocol.JobState(rid=new, info=info()))]


def test_credit_is_given_as_events_are_read(played: Played) -> None:
    rid = played.session.subscribe([])
    played.say(protocol.Subscribed(rid=rid, epoch="one", jobs=[]))
    played.sent()
    given = 0
    for _ in range(200):
        played.say(protocol.JobState(rid=rid, info=info()))
        given += sum(item.count for item in played.sent() if isinstance(item, protocol.Credit))
    played.later(protocol.HEARTBEAT_SECONDS)
    given += sum(item.count for item in played.sent() if isinstance(item, protocol.Credit))
    assert given == 200


def test_a_forgotten_subscription_is_made_again(played: Played) -> None:
    rid = played.session.subscribe([JOB])
    played.say(protocol.Subscribed(rid=rid, epoch="one", jobs=[]))
    played.sent()
    played.say(protocol.Error(rid=rid, code="no_subscription", text=""))
    again = played.sent()
    assert [item.kind for item in again] == ["subscribe"]
    assert again[0].jobs == [JOB]
    # a subscribe that is refused must not be tried for ever
    happened = played.say(protocol.Error(rid=again[0].rid, code="unknown_job", text=""))
    assert [type(h) for h in happened] == [Answered]
    assert played.sent() == []


def test_an_upload_keeps_to_its_credit_and_goes_back_after_a_loss(played: Played, tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(bytes(i % 251 for i in range(5 * CHUNK + 7)))
    source = FileSource.of(path)
    assert source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    submit = played.session.submit(JOB, "generate", {}, {"panorama": source})
    played.sent()
    played.say(protocol.Missing(rid=submit, need=[source.sha256]))
    (put,) = played.sent()
    granted = protocol.Granted(rid=put.rid, sha256=source.sha256, offset=0, credit=2, restart=True)
    played.say(granted)
    chunks = played.sent()
    assert [chunk.offset for chunk in chunks] == [0, CHUNK]
    played.say(protocol.Granted(rid=put.rid, sha256=source.sha256, offset=CHUNK, credit=2))
    assert [chunk.offset for chunk in played.sent()] == [2 * CHUNK]
    # silence: the put is sent again, the server has one chunk, so all after it comes once more
    played.later(protocol.RETRY_SECONDS + 0.1)
    assert "put" in [item.kind for item in played.sent()]
    played.say(protocol.Granted(rid=put.rid, sha256=source.sha256, offset=CHUNK, credit=8, restart=True))
    chunks = played.sent()
    assert [chunk.offset for chunk in chunks] == [CHUNK, 2 * CHUNK, 3 * CHUNK, 4 * CHUNK, 5 * CHUNK]
    assert len(chunks[-1].data) == 7
    played.say(protocol.Stored(rid=put.rid, sha256=source.sha256))
    (again,) = played.sent()
    assert isinstance(again, protocol.Submit)
    assert again.rid == submit


def test_a_server_that_never_gets_an_input_ends_the_submit(played: Played, tmp_path: Path) -> None:
    submit = played.session.submit(JOB, "render", {}, {})
    happened = played.say(protocol.Missing(rid=submit, need=["a" * 64]))
    assert isinstance(happened[0], Answered)
    assert happened[0].reply.code == "unknown_blob"


def test_a_damaged_download_is_not_kept(played: Played, tmp_path: Path) -> None:
    dest = tmp_path / "out" / "scene"
    wanted = hashlib.sha256(b"right").hexdigest()
    fetch = played.session.fetch(wanted, 5, dest)
    (get,) = [item for item in played.sent() if item.kind == "get"]
    happened = played.say(protocol.Chunk(rid=get.rid, sha256=wanted, offset=0, size=5, data=b"wrong"))
    assert happened[0].rid == fetch
    assert happened[0].reply.code == "digest"
    assert list(dest.parent.iterdir()) == []


def test_a_connection_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "connection.json"
    path.write_text("{}")
    path.chmod(0o644)
    if os.name == "posix":
        with pytest.raises(protocol.ProtocolError, match="chmod 600"):
            Connection.read(path)
    path.chmod(0o600)
    with pytest.raises(protocol.ProtocolError, match="not a connection file"):
        Connection.read(path)
    with pytest.raises(protocol.ProtocolError, match="not a connection file"):
        Connection.read(tmp_path / "nothing")
