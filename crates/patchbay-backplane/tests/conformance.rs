//! One suite over every implementation: memory, memory with a file, and Redis with two clients on a real server.

mod suite;

/// Runs each test on each implementation.
macro_rules! conformance {
    ($($area:ident: [$($test:ident),+ $(,)?];)+) => {
        mod memory {
            $($(#[tokio::test]
            async fn $test() {
                let subject = crate::suite::Subject::memory();
                crate::suite::$area::$test(&subject).await.unwrap();
            })+)+
        }

        mod file {
            $($(#[tokio::test]
            async fn $test() {
                let subject = crate::suite::Subject::file().unwrap();
                crate::suite::$area::$test(&subject).await.unwrap();
            })+)+
        }

        mod redis {
            $($(#[tokio::test]
            async fn $test() {
                let subject = crate::suite::Subject::redis().await.unwrap();
                crate::suite::$area::$test(&subject).await.unwrap();
            })+)+
        }
    };
}

conformance! {
    streams: [
        appends_keep_the_order_of_calls,
        concurrent_appends_have_one_order_for_all,
        a_repeated_key_appends_nothing,
        a_key_is_forgotten_after_its_time,
        size_bounds_what_is_kept,
        age_bounds_what_is_kept,
        pages_go_both_ways,
        a_missing_stream_has_a_stable_top,
        removal_starts_a_new_epoch_and_no_offset_comes_twice,
        tops_come_in_the_order_asked,
    ];
    pubsub: [
        messages_arrive_in_order_on_every_subscriber,
        only_subscribed_channels_arrive,
        a_full_subscriber_is_told_of_the_gap,
        binary_payloads_and_odd_names_pass,
        many_channels_are_subscribed_at_once,
        a_closed_backplane_ends_its_subscribers,
    ];
    values: [
        values_are_written_read_and_deleted,
        values_expire,
        one_of_many_compare_and_sets_wins,
        a_rewritten_value_has_a_new_version,
        counters_add_up_within_a_window,
        marks_only_rise,
        a_full_map_of_marks_takes_no_new_field,
        marks_expire_and_are_ordered,
    ];
    records: [
        a_commit_is_whole_or_nothing,
        each_expectation_is_checked,
        commits_that_cannot_be_one_step_are_refused,
        a_row_made_again_has_a_new_revision,
        rows_are_ordered_byte_by_byte,
        rows_are_read_in_the_order_asked,
        thousands_of_rows_are_read_page_by_page,
        each_commit_is_told_once_on_each_table,
        concurrent_increments_lose_nothing,
    ];
    leases: [
        a_lease_has_one_holder,
        tokens_rise_when_a_lease_expires,
        a_released_lease_is_free,
    ];
    presence: [
        members_are_listed_and_counted,
        a_renewal_changes_what_it_brings,
        members_expire_when_nobody_renews_them,
        a_dead_nodes_members_are_reaped_whole,
        many_joins_go_in_one_call,
    ];
    nodes: [
        heartbeats_tell_known_from_fresh,
        the_dead_are_taken_exactly_once,
        a_claim_ends_when_its_caller_dies,
    ];
}
