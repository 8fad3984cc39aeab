"""What every channel promises; test_channels.py holds webhooks to it, flows/test_alert_blocks.py Prefect's blocks."""

import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from andon.processes import free_port
from tasks.channels import Channel, ChannelError, Message
from tests.receiver import Receiver, receiving

SECRET = "T0PS3CRET"  # noqa: S105  # a part of the address
MESSAGE = Message(key="bikes-drift-1-7", title="bikes: probably bad data in humidity", text="humidity is null\n\n- now")
MakeChannel = Callable[[str], Channel]


class ChannelPromises:
    """`make`: a channel to an HTTP address."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[Receiver]:
        with receiving() as started:
            yield started

    @pytest.fixture
    def receiver(self, server: Receiver) -> Receiver:
        return server.as_new()

    def test_the_other_side_gets_the_whole_message_once(self, make: MakeChannel, receiver: Receiver) -> None:
        make(f"{receiver.url}/{SECRET}").send(MESSAGE, seconds=10)
        (post,) = receiver.posts
        assert post.path.startswith(f"/{SECRET}")
        told = " ".join(map(str, post.body.values()))
        assert all(part in told for part in (MESSAGE.title, *MESSAGE.text.splitlines()))

    def test_its_name_is_always_the_same_one_without_the_secret(self, make: MakeChannel, receiver: Receiver) -> None:
        channel = make(f"{receiver.url}/{SECRET}")
        assert SECRET not in channel.name
        assert channel.name == make(f"{receiver.url}/{SECRET}").name

    def test_no_redirect_is_followed(self, make: MakeChannel, receiver: Receiver) -> None:
        receiver.answers = [302]
        with pytest.raises(ChannelError):
            make(f"{receiver.url}/{SECRET}").send(MESSAGE, seconds=10)
        assert [post.path for post in receiver.posts if "elsewhere" in post.path] == []

    @pytest.mark.parametrize("status", [400, 404, 500])
    def test_a_refusal_is_told_and_the_secret_nowhere(
        self, make: MakeChannel, receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = make(f"{receiver.url}/{SECRET}")
        receiver.answers = [status] * 50
        with caplog.at_level(logging.DEBUG), pytest.raises(ChannelError) as refused:
            channel.send(MESSAGE, seconds=2)
        assert SECRET not in "".join(traceback.format_exception(refused.value))
        assert SECRET not in caplog.text
        assert refused.value.__cause__ is None

    def test_a_message_that_arrives_leaves_no_secret_in_the_log(
        self, make: MakeChannel, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = make(f"{receiver.url}/{SECRET}")
        with caplog.at_level(logging.DEBUG):
            channel.send(MESSAGE, seconds=10)
        assert SECRET not in caplog.text

    def test_a_peer_that_says_nothing_is_not_waited_for_longer_than_allowed(
        self, make: MakeChannel, receiver: Receiver
    ) -> None:
        channel = make(f"{receiver.url}/{SECRET}")
        receiver.pause = 8
        began = time.monotonic()
        with pytest.raises(ChannelError, match=re.compile("no answer")):
            channel.send(MESSAGE, seconds=1)
        assert time.monotonic() - began < 5

    def test_where_nobody_listens_that_is_told(self, make: MakeChannel) -> None:
        with pytest.raises(ChannelError):
            make(f"http://127.0.0.1:{free_port()}/{SECRET}").send(MESSAGE, seconds=1)

    def test_looking_sends_nothing(self, make: MakeChannel, receiver: Receiver) -> None:
        make(f"{receiver.url}/{SECRET}").look(seconds=10)
        assert receiver.posts == []
