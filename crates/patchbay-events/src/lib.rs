//! Domain events: CloudEvents 1.0, appended to one stream of the backplane that webhooks and other services read.
