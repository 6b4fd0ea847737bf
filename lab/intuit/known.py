"""What the look-alike does as Intuit does, how we know, and the test that holds it to that; a table of the documentation.

``recorded``: seen in a recorded answer, which the test replays. ``documented``: in Intuit's documentation. ``guessed``: neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Known:
    """One behaviour; ``test`` is a test function in ``tests/contract``."""

    behaviour: str
    source: Literal["recorded", "documented", "guessed"]
    test: str


KNOWN: tuple[Known, ...] = (
    # OAuth
    Known("discovery: keys, order and paths, in both environments", "recorded", "test_discovery_has_the_recorded_keys_and_paths"),
    Known("the token answer, with and without the hard expiry", "recorded", "test_other_token_answers_have_the_recorded_keys"),
    Known("`invalid_grant` in its three forms", "recorded", "test_recorded_refusals_of_the_token_endpoint"),
    Known("which cause gets which form of `invalid_grant`", "guessed", "test_recorded_refusals_of_the_token_endpoint"),
    Known("`invalid_client` (401), `invalid_request`, `unsupported_grant_type`", "documented", "test_malformed_token_calls"),
    Known("a code: once, ten minutes, bound to its redirect address", "documented", "test_a_code_lives_ten_minutes"),
    Known(
        "redirect addresses are compared as exact strings",
        "documented",
        "test_an_unregistered_redirect_uri_gets_a_page_and_never_a_redirect",
    ),
    Known(
        "refused consent comes back as `access_denied`, wrong scopes as `invalid_scope`",
        "documented",
        "test_refusal_comes_back_as_access_denied",
    ),
    Known("access tokens live 3,600 s", "documented", "test_an_access_token_lives_an_hour"),
    Known(
        "the refresh value changes after 24 h, the former one dies",
        "documented",
        "test_the_refresh_value_changes_after_a_day_and_the_former_dies",
    ),
    Known(
        "100 days unused, and five years in any case, end a grant; told with the opt-in header",
        "documented",
        "test_five_years_end_every_grant_and_are_told_on_request",
    ),
    Known(
        "without that header the soft end stands still in the last 30 days",
        "documented",
        "test_five_years_end_every_grant_and_are_told_on_request",
    ),
    Known(
        "what is used again may end the whole grant (an option)", "documented", "test_what_is_used_again_can_end_the_whole_grant"
    ),
    Known("revoking either token ends the grant", "documented", "test_revoking_either_token_ends_the_whole_grant"),
    Known("`id_token`, its key, userinfo: keys and claims", "recorded", "test_who_signed_in_is_told_with_the_recorded_keys"),
    Known(
        "userinfo's refusals",
        "guessed",
        "test_openid_gives_an_id_token_that_its_key_proves_and_userinfo_tells_what_was_asked_for",
    ),
    # Queries
    Known(
        "envelopes, key order, counts, `maxResults` = rows of this page",
        "recorded",
        "test_a_recorded_query_gets_its_recorded_answer",
    ),
    Known('`{"QueryResponse":{}}` past the end', "recorded", "test_recorded_pages_of_chosen_ids"),
    Known(
        "customers come by full name, vendors and items by name, in byte order (`PG&E` before `Pam Seitz`)",
        "recorded",
        "test_a_recorded_query_gets_its_recorded_answer",
    ),
    Known(
        "other orders: names likewise, transactions newest first, the rest by Id",
        "guessed",
        "test_default_orders_and_orders_asked_for",
    ),
    Known(
        "`\\'` escape, `&` in values, ids in `IN`, `Active IN (true, false)`",
        "recorded",
        "test_a_recorded_query_gets_its_recorded_answer",
    ),
    Known(
        "4000 (an unexpected word, with place and what was expected) and 4001 (unknown entity, start position 0)",
        "recorded",
        "test_recorded_query_errors",
    ),
    Known(
        "4000 for a character of no word; inside a text any character is taken (since 2022)",
        "recorded",
        "test_recorded_error_for_a_dash_between_words_and_none_inside_a_text",
    ),
    Known(
        "texts of other 4001 errors (unknown or unqueryable property, `OR`, comparison of Id)",
        "guessed",
        "test_what_does_not_exist_is_a_validation_error",
    ),
    Known(
        "which properties can be asked for, and which only sorted by",
        "documented",
        "test_every_documented_property_can_be_asked_for_and_the_others_cannot",
    ),
    Known(
        "words in any letter case, the tail in any order, pages of 100 by default and 1,000 at most",
        "documented",
        "test_words_are_read_in_any_letter_case_and_the_tail_in_any_order",
    ),
    Known("`CURRENT_DATE` is the company's date", "documented", "test_today_is_the_companys_date"),
    Known("inactive rows hidden from queries and counts unless a condition names `Active`", "recorded", "test_recorded_counts"),
    Known(
        "a condition on `Active` does not find the pseudo tax codes, which lack that property",
        "guessed",
        "test_pseudo_tax_codes_have_no_version_and_no_state",
    ),
    Known("column lists answer with those columns, `domain` and `sparse: true`", "guessed", "test_columns_asked_for_come_alone"),
    # Writes
    Known(
        "create and full update of a customer, create and update of an item, update of the preferences",
        "recorded",
        "test_recorded_full_update_of_a_customer",
    ),
    Known(
        "an update that changes nothing leaves version and time",
        "recorded",
        "test_an_update_that_changes_nothing_leaves_version_and_time",
    ),
    Known(
        "inactivation with ` (deleted)`, which frees the name",
        "documented",
        "test_inactivation_adds_the_suffix_hides_the_row_and_frees_the_name",
    ),
    Known(
        "an empty text or `null` empties a property and is not sent back",
        "documented",
        "test_an_empty_text_empties_a_property_and_is_not_kept",
    ),
    Known("610, 2010, 2020, 2030, 500", "recorded", "test_recorded_read_errors"),
    Known("2050 and the lengths of texts", "documented", "test_a_text_that_is_too_long_is_refused"),
    Known("5010 for an old version", "recorded", "test_recorded_stale_object_but_for_the_person"),
    Known("6240 and its text", "recorded", "test_recorded_duplicate_name"),
    Known(
        "6240 over customers, vendors and employees in any case; for sub-records over siblings",
        "documented",
        "test_a_name_is_taken_across_customers_vendors_and_employees_in_any_case",
    ),
    Known("five levels (6180), balance of an inactivated record (6220)", "documented", "test_nesting_ends_after_five_levels"),
    Known(
        "create of an invoice; create, update and void of a sales receipt (what was not sent stays)",
        "recorded",
        "test_recorded_create_and_void_of_a_sales_receipt",
    ),
    Known("delete and void of an invoice, delete of an attachable", "recorded", "test_recorded_deletes"),
    Known(
        "create and update of other transactions; a reference to nothing (2500: the text is guessed)",
        "documented",
        "test_every_kind_can_be_made_and_is_told_by_change_data_capture",
    ),
    Known(
        "a line's tax code: TAX or NON in the US (6100: the text is guessed)",
        "documented",
        "test_a_line_of_a_us_company_is_taxed_or_not",
    ),
    Known(
        "a line's tax code: one of the company's elsewhere (6000)",
        "recorded",
        "test_recorded_missing_tax_code_of_a_company_abroad",
    ),
    Known("uploads, and a fault inside an answer of 200", "recorded", "test_recorded_upload_for_a_record_that_is_not_there"),
    Known("tax codes are made by `/taxservice/taxcode`", "documented", "test_a_tax_code_is_made_with_its_rates_and_not_changed"),
    Known("a duplicate tax rate (6240)", "recorded", "test_recorded_duplicate_tax_rate"),
    Known(
        "`requestid`: first answer again; 600 for another body; 2130 when too long",
        "documented",
        "test_the_same_requestid_is_done_once_and_answered_alike",
    ),
    # Batch and changes
    Known("a mixed batch: items stand alone, an empty one is refused", "recorded", "test_recorded_batch"),
    Known("at most 30 items (1040: the text is guessed)", "documented", "test_batch_items_stand_alone"),
    Known(
        "change data capture: deleted ones last; any age (today's documentation: 30 days)",
        "recorded",
        "test_recorded_change_data_capture",
    ),
    Known(
        "change data capture: 1,000 objects, oldest change first; not for taxes and customer types",
        "documented",
        "test_change_data_capture_ends_at_a_thousand_and_knows_no_taxes",
    ),
    # The gateway, limits, webhooks
    Known(
        "gateway faults 401/3200, 403/3100 (lower-case keys, epoch milliseconds)",
        "recorded",
        "test_recorded_gateway_fault_for_a_dead_token",
    ),
    Known(
        "XML faults 401/100 and 401/130, also where JSON was asked for",
        "recorded",
        "test_recorded_xml_for_a_call_without_credentials",
    ),
    Known("which credentials lead to the XML form", "guessed", "test_recorded_xml_for_a_call_without_credentials"),
    Known("429/3001, its form of 2016 (403), 500/10000", "recorded", "test_injected_faults_have_the_recorded_form"),
    Known("429 as XML (in the form of the recorded 401)", "guessed", "test_the_nth_request_gets_the_fault_and_no_other"),
    Known(
        "500 a minute, 10 a second, 40 and 120 batches a minute",
        "documented",
        "test_ten_a_second_per_app_and_five_hundred_a_minute_per_realm",
    ),
    Known(
        "windows slide, and what is refused does not count", "guessed", "test_too_many_batches_get_429_until_the_minute_is_over"
    ),
    Known(
        "an app's monthly budget of metered reads, then 429",
        "documented",
        "test_the_monthly_budget_of_reads_ends_reading_until_the_month_is_over",
    ),
    Known("webhooks: both formats", "recorded", "test_a_recorded_webhook_is_sent_in_its_recorded_form"),
    Known(
        "webhooks: signature; again after 10, 20, 30 s, 5, 20 min, 2, 4, 6 h, then every 6 h, in order",
        "documented",
        "test_what_nobody_acknowledges_comes_again_by_the_lab_clock_and_holds_up_what_follows",
    ),
    Known("times with the company's offset, -07:00 or -08:00", "documented", "test_the_company_writes_times_with_its_own_offset"),
)
