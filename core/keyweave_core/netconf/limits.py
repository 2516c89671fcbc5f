"""Bounds of a NETCONF server or client, in one frozen value."""

from dataclasses import dataclass, replace

_MAY_BE_ZERO = frozenset({"idle_timeout_s"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfLimits:
    """Every bound a peer can run into; ValueError when one makes no sense."""

    max_message_bytes: int = 4 * 1024 * 1024  # one message, without its framing
    max_elements: int = 400_000  # XML elements in one message
    max_depth: int = 64  # elements inside one another in one message
    max_sessions: int = 256  # NETCONF sessions of one server; one more is refused cleanly
    max_sessions_per_user: int = 128
    max_connections: int = 512  # transport connections of one listener, those still logging in included
    max_connections_per_host: int = 256
    idle_timeout_s: float = 0.0  # without an rpc or a subscription; 0: a session may idle for ever
    hello_timeout_s: float = 10.0  # from the open channel to the peer's <hello>
    login_timeout_s: float = 20.0  # from the TCP connection to the end of authentication
    pending_bytes: int = 256 * 1024  # unread input of a session that is busy, before reading is paused
    keepalive_s: float = 15.0  # quiet time before the SSH layer asks the peer for a sign of life
    keepalive_misses: int = 3  # unanswered questions before the peer counts as gone
    max_filter_cost: int = 3_000_000  # comparisons of subtree filter and data in one use: about a second
    max_filter_elements: int = 20_000  # of one subtree filter: each is kept as an object while it is used
    max_xpath_cost: int = 30_000_000  # looks at nodes in one use of an XPath filter: about a second
    notification_log_events: int = 2000  # kept for replay and for readers that lag
    notification_log_bytes: int = 2 * 1024 * 1024
    subscription_filter_cost: int = 100_000  # as max_filter_cost, for what filters every event or update
    subscription_filter_elements: int = 1000  # as max_filter_elements, for what is kept with a subscription
    subscription_xpath_cost: int = 1_000_000  # as max_xpath_cost, likewise
    max_subscriptions: int = 1000  # dynamic subscriptions of one server (RFC 8639)
    max_subscriptions_per_session: int = 64
    suspension_timeout_s: float = 300.0  # a suspended subscription is terminated after
    push_min_period_s: float = 0.1  # the shortest period of a periodic subscription
    push_poll_s: float = 1.0  # operational is compared this often while somebody watches it
    push_spacing_s: float = 0.05  # and never more often than this, whatever happens
    push_update_bytes: int = 4 * 1024 * 1024  # the content of one push-update or push-change-update
    notification_queue: int = 2000  # client: received and not yet taken
    rpc_timeout_s: float = 30.0  # client: from an rpc to its reply
    connect_timeout_s: float = 15.0  # client: TCP, SSH and hello together

    def for_subscriptions(self) -> "NetconfLimits":
        """These bounds for filters of subscriptions: what is applied often must be cheaper."""
        return replace(
            self,
            max_filter_cost=self.subscription_filter_cost,
            max_filter_elements=self.subscription_filter_elements,
            max_xpath_cost=self.subscription_xpath_cost,
        )

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) <= 0 and not (name in _MAY_BE_ZERO and getattr(self, name) == 0):
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.max_message_bytes < 4096:
            raise ValueError(f"max_message_bytes must be 4096 or more, not {self.max_message_bytes}")
