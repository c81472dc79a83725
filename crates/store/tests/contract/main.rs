//! Contract of every store, independent of its database.
//!
//! Each scenario receives a fresh, empty [`Store`]. A new implementation needs one more
//! `on_every_store!` line in this file.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]

mod accounts;
mod administering;
mod bounds;
mod claims;
mod clocks;
#[path = "../cluster/mod.rs"]
mod cluster;
mod crowding;
mod folders;
mod following;
mod leaving;
mod links;
mod loads;
mod model;
mod named;
mod partials;
mod peers;
mod publishing;
mod queries;
mod spaces;
mod world;

/// Runs every scenario on the store from the future `$open`. The future returns the store with a
/// value that must live as long as the store, or `None` if the store is not available.
macro_rules! on_every_store {
    ($name:ident, $open:expr; $($room:ident :: { $($scenario:ident),* $(,)? })*) => {
        mod $name {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    if let Some((store, _keep)) = $open.await {
                        crate::$room::$scenario(store).await;
                    }
                }
            )*)*
        }
    };
}

macro_rules! contract {
    ($name:ident, $open:expr) => {
        on_every_store! { $name, $open;
            accounts::{
                an_account_is_found_by_its_name_and_its_name_is_taken,
                an_invite_lets_in_as_many_as_it_says,
                the_last_use_of_an_invite_goes_to_one_of_two,
                a_taken_name_spends_no_invite,
                an_invite_that_is_over_lets_nobody_in,
                a_founding_invite_makes_an_administrator_only_while_there_is_none,
                an_invite_without_limit_stays,
                a_session_is_returned_after_its_end_until_it_is_swept,
                a_session_begins_only_while_what_was_checked_is_so,
                ending_a_session_takes_its_peers_off_the_list,
                totals_count_what_is_there,
                a_write_of_no_meaning_is_counted_and_changes_nothing,
            }
            peers::{
                a_live_lease_passes_only_to_the_home_that_holds_it,
        a_peer_without_a_key_is_known_by_its_session_or_its_port,
        the_id_of_anothers_peer_is_refused,
                a_peer_id_stays_with_its_account_after_its_lease_ended,
                a_lapsed_lease_hides_a_peer_until_it_is_renewed,
                a_peer_that_left_must_register,
                since_begins_anew_after_a_break,
                peers_come_in_pages_without_gaps_or_repeats,
                what_a_peer_does_for_others_is_what_it_said_last,
            }
            publishing::{
                a_change_is_applied_once,
                a_change_on_another_base_is_refused,
                of_one_path_the_last_counts_and_an_upsert_outweighs_a_removal,
                sizes_beyond_bounds_are_refused_and_change_nothing,
                a_second_size_for_a_hash_is_refused,
                a_peer_of_another_account_is_not_found,
                a_whole_index_replaces_what_was_there,
                the_same_index_sent_again_gets_the_same_answer,
                an_interrupted_index_leaves_nothing_after_the_next,
                a_newer_attempt_voids_an_older,
                a_large_removal_is_complete,
            }
            folders::{
                a_folder_is_published_and_found_like_a_file,
                folders_do_not_count_as_files,
                a_file_and_a_folder_of_one_hash_are_two_contents,
                partial_providers_are_those_of_a_kind_that_is_seen,
                a_level_of_a_folder_comes_in_pages,
                a_large_level_is_read_without_what_is_inside_of_it,
                a_folder_shows_what_is_in_its_space,
                a_folder_with_a_very_long_path_is_not_listed,
            }
            queries::{
                the_index_comes_in_pages_without_gaps_or_repeats,
                many_contents_are_located_as_each_of_them,
                a_cursor_of_another_list_is_refused,
                a_lying_size_does_not_spoil_the_honest_one,
                sizes_that_tie_go_to_the_smaller,
                names_come_most_common_first,
                summaries_keep_the_order_and_skip_the_hidden,
                a_content_under_very_many_names_is_answered,
            }
            crowding::{
                very_many_false_sizes_hide_no_provider,
                a_true_size_is_found_among_more_sizes_than_are_answered,
                claims_of_peers_that_are_gone_do_not_count,
                an_account_names_one_size_for_a_hash_whatever_peers_it_has,
                many_peers_of_one_account_have_one_vote,
                names_and_peers_of_one_account_crowd_out_no_others,
            }
            named::{
                a_file_is_found_by_its_very_name_or_path,
                a_name_is_found_among_however_many_names_and_copies,
                a_name_shows_what_is_online_and_seen_alone,
            }
            following::{
                the_log_tells_of_every_change_and_nothing_else,
                the_log_comes_in_runs,
                a_swept_log_is_lost_to_those_behind,
                a_walk_over_contents_sees_each_once,
                documents_hold_a_bounded_number_of_paths,
                content_keys_are_never_used_again,
            }
            partials::{
                an_announcement_lists_a_partial_provider_until_it_is_withdrawn,
                an_announcement_returns_the_spaces_that_show_the_content,
                only_its_account_announces_a_peer,
                a_peer_announces_a_bounded_number_of_contents,
                a_lapsed_lease_hides_a_partial_provider,
                whole_providers_come_first_and_are_listed_once,
                a_transient_peer_is_not_listed_and_forgotten_when_it_goes,
                a_transient_peer_shares_nothing_and_replaces_none_that_stays,
            }
            spaces::{
                each_sees_what_lies_in_the_own_spaces_and_nothing_else,
                a_document_holds_the_names_of_one_space,
                a_file_that_moves_to_another_space_is_published_anew,
                only_members_publish_into_a_space,
                a_view_narrowed_to_a_space_shows_that_alone,
                common_spaces_are_those_of_both_accounts,
                an_invite_lets_into_its_space,
                spaces_and_members_come_in_pages,
            }
            claims::{
                a_claimed_hash_shows_nobody_who_has_it_from_a_space,
                what_nobody_lets_see_cannot_be_announced_or_located,
            }
            clocks::{
                what_was_created_while_the_clock_was_behind_is_kept,
                a_corrected_clock_revives_what_was_created_before,
                leases_from_a_clock_that_was_ahead_end,
            }
            leaving::{
                leaving_a_space_takes_the_files_out_of_it,
                a_space_that_is_removed_takes_its_files_with_it,
                what_is_removed_is_seen_by_nobody_outside_while_it_goes,
            }
            administering::{
                an_account_is_made_in_its_spaces_or_not_at_all,
                a_change_of_an_account_is_made_whole_or_not_at_all,
                a_new_password_ends_the_other_sessions,
                one_who_becomes_a_guest_or_is_disabled_has_no_peer_on_the_list,
                sessions_come_in_pages_and_say_whose_they_are,
                a_revoked_session_takes_its_peer_off_the_list,
                a_revoked_invite_is_gone_and_the_others_are_listed,
                a_removed_peer_is_forgotten_with_its_files,
                routine_acts_are_added_up_by_actor_and_push_nothing_out,
                the_last_sweep_and_named_values_are_remembered,
            }
            links::{
                a_use_belongs_to_the_network_that_began_it,
                who_begins_anew_after_a_while_spends_another_use,
                the_last_use_of_a_link_goes_to_one_of_many,
                many_requests_from_one_network_at_once_are_one_use,
                links_that_are_over_are_forgotten_and_the_others_bounded,
            }
            loads::{
                a_load_is_kept_until_its_peer_has_done_it,
                the_same_asked_for_again_is_the_same_load,
                only_its_own_peer_reports_of_a_load,
                a_silent_peer_makes_a_load_wait_and_an_hour_ends_it,
                loads_come_in_pages_newest_first_and_each_sees_the_own,
                open_loads_are_bounded_and_those_over_forgotten,
                a_peer_is_told_of_loads_of_every_account,
                a_removed_peer_takes_its_loads_with_it,
                only_peers_that_stay_are_asked,
                a_content_lies_where_peers_online_share_it,
            }
            model::{
                the_index_agrees_with_a_plain_map,
            }
        }
    };
}

contract!(sqlite, crate::world::sqlite());
contract!(postgres, crate::world::postgres());

macro_rules! bounded {
    ($name:ident, $open:expr) => {
        on_every_store! { $name, $open;
            bounds::{
                an_account_has_so_many_peers,
                an_account_shares_so_many_files_and_paths,
                an_account_has_so_many_sessions_and_the_least_used_ends,
                an_administrator_has_so_many_invites,
            }
        }
    };
}

bounded!(
    sqlite_bounded,
    crate::world::sqlite_with(crate::bounds::SMALL)
);
bounded!(
    postgres_bounded,
    crate::world::postgres_with(crate::bounds::SMALL)
);
