"""Prefect's notification blocks keep the promises of a channel: a real server, and a real receiver."""

import uuid
from functools import cache
from urllib.parse import urlsplit

import pytest
from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.blocks.system import Secret
from pydantic import SecretStr

from tasks.channels import ChannelError, NotificationBlock
from tests.contract.channel_promises import MESSAGE, ChannelPromises, MakeChannel

pytestmark = [
    pytest.mark.usefixtures("prefect"),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),  # apprise imports it
]


@cache
def custom(url: str) -> NotificationBlock:
    """A block as a person makes it in Prefect's UI."""
    template = {"text": "{{subject}}\n{{body}}"}
    block = CustomWebhookNotificationBlock(name="ops", url=url, json_data=template, timeout=5)
    return _saved(block, "custom-webhook", url)


@cache
def by_apprise(url: str) -> NotificationBlock:
    """The way of Slack's, Teams' and all the other blocks; json:// is apprise's name for a plain address."""
    return _saved(SlackWebhook(url=SecretStr(url.replace("http://", "json://"))), "slack-webhook", url)


def _saved(block: CustomWebhookNotificationBlock | SlackWebhook, kind: str, url: str) -> NotificationBlock:
    name = f"ops-{uuid.uuid5(uuid.NAMESPACE_URL, urlsplit(url).netloc).hex[:8]}"
    block.save(name, overwrite=True)
    return NotificationBlock(f"{kind}/{name}")


@pytest.mark.slow  # test_alerts_flow.py sends by one as well
class TestCustomWebhook(ChannelPromises):
    @pytest.fixture
    def make(self) -> MakeChannel:
        return custom


class TestBlockOfApprise(ChannelPromises):
    @pytest.fixture
    def make(self) -> MakeChannel:
        return by_apprise


@pytest.mark.parametrize("slug", ["slack-webhook/nobody-made-it", "no-such-kind/ops"])
def test_a_block_that_is_not_there_is_told_with_its_slug(slug: str) -> None:
    for do in (NotificationBlock(slug).look, lambda seconds: NotificationBlock(slug).send(MESSAGE, seconds=seconds)):
        with pytest.raises(ChannelError, match=f"no such block.*ANDON_ALERT_BLOCKS: {slug}"):
            do(seconds=10)


def test_a_block_that_cannot_notify_is_told() -> None:
    Secret(value=SecretStr("x")).save("no-notifier", overwrite=True)
    with pytest.raises(ChannelError, match="none that notifies"):
        NotificationBlock("secret/no-notifier").look(seconds=10)
