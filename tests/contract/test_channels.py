"""A webhook keeps the promises of a channel, against a real server."""

import pytest
from pydantic import SecretStr

from andon.processes import free_port
from andon.settings import Settings
from tasks.channels import ChannelError, Message, NotificationBlock, Webhook, channels_of
from tests.contract.channel_promises import MESSAGE, SECRET, ChannelPromises, MakeChannel
from tests.receiver import Receiver


def webhook(url: str) -> Webhook:
    return Webhook(SecretStr(url))


class TestWebhook(ChannelPromises):
    @pytest.fixture
    def make(self) -> MakeChannel:
        return webhook

    def test_it_says_what_slack_understands_and_by_what_a_second_copy_is_known(self, receiver: Receiver) -> None:
        """Nothing in a column's name or value may become a link, or call everybody in the channel."""
        told = Message(key="bikes-drift-1-7", title="a < b & c", text="<!channel> is new")
        webhook(receiver.url).send(told, seconds=10)
        (post,) = receiver.posts
        assert post.body == {"text": "*a &lt; b &amp; c*\n\n&lt;!channel&gt; is new"}
        assert post.headers["Idempotency-Key"] == "bikes-drift-1-7"

    @pytest.mark.parametrize("trouble", [429, 500, 503])
    def test_a_trouble_that_may_pass_is_tried_again(self, receiver: Receiver, trouble: int) -> None:
        receiver.answers = [trouble, trouble]
        webhook(receiver.url).send(MESSAGE, seconds=10)
        assert len(receiver.posts) == 3

    @pytest.mark.parametrize("no", [302, 400, 403, 404, 410])
    def test_a_no_is_not_asked_for_again(self, receiver: Receiver, no: int) -> None:
        receiver.answers = [no]
        with pytest.raises(ChannelError, match=f"it answered {no}.*correct the address"):
            webhook(receiver.url).send(MESSAGE, seconds=10)
        assert len(receiver.posts) == 1

    def test_looking_tells_that_nobody_listens(self) -> None:
        with pytest.raises(ChannelError, match=r"nobody answers at 127\.0\.0\.1:\d+"):
            webhook(f"http://127.0.0.1:{free_port()}/{SECRET}").look(seconds=1)


def test_two_webhooks_of_one_host_have_names_of_their_own() -> None:
    names = {webhook(f"https://hooks.example.org/{number}").name for number in range(3)}
    assert len(names) == 3
    assert all(name.startswith("webhook hooks.example.org ") for name in names)


def test_the_settings_name_the_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert channels_of(Settings()) == ()
    monkeypatch.setenv("ANDON_ALERT_WEBHOOKS", "https://a.example.org/x, https://b.example.org/y,")
    monkeypatch.setenv("ANDON_ALERT_BLOCKS", "slack-webhook/ops")
    found = channels_of(Settings())
    assert found == (
        webhook("https://a.example.org/x"),
        webhook("https://b.example.org/y"),
        NotificationBlock("slack-webhook/ops"),
    )
