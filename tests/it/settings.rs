//! The configuration: what is wrong with it is said, and no key is there that changes nothing.

use std::collections::BTreeMap;

use atoll::config::{KEYS, Kind};
use serde_json::{Value, json};

use crate::support::*;

/// Every key, with the test that flips it and sees the difference.
const PROVEN: &[(&str, &str)] = &[
    ("server.host", "settings::it_listens_where_it_is_told"),
    ("server.port", "settings::it_listens_where_it_is_told"),
    ("server.drain_seconds", "daemon::what_does_not_end_within_drain_seconds_goes_on_at_the_next_start"),
    ("log.level", "settings::the_log_says_as_much_as_it_is_told"),
    ("log.format", "settings::the_log_has_the_format_that_is_asked_for"),
    ("store.retention_days", "settings::what_is_old_and_done_is_let_go_when_retention_says_so"),
    ("llm[].provider", "codecs::every_provider_is_asked_at_its_base_url_with_its_key_in_its_header"),
    ("llm[].api_key", "codecs::every_provider_is_asked_at_its_base_url_with_its_key_in_its_header"),
    ("llm[].base_url", "codecs::every_provider_is_asked_at_its_base_url_with_its_key_in_its_header"),
    ("llm[].api_version", "codecs::azure_is_asked_for_the_deployment_in_the_version_that_is_configured"),
    ("llm[].name", "settings::a_provider_is_asked_as_it_is_configured"),
    ("llm[].model", "settings::a_provider_is_asked_as_it_is_configured"),
    ("llm[].temperature", "settings::a_provider_is_asked_as_it_is_configured"),
    ("llm[].max_tokens", "settings::a_provider_is_asked_as_it_is_configured"),
    ("llm[].timeout_seconds", "failover::a_provider_that_is_silent_too_long_is_given_up"),
    ("llm[].max_concurrent", "failover::no_provider_gets_more_calls_at_a_time_than_it_takes"),
    (
        "llm[].photo_enabled",
        "attachments::each_kind_of_file_is_sent_when_its_switch_is_on_and_named_when_it_is_off",
    ),
    (
        "llm[].audio_enabled",
        "attachments::each_kind_of_file_is_sent_when_its_switch_is_on_and_named_when_it_is_off",
    ),
    (
        "llm[].video_enabled",
        "attachments::each_kind_of_file_is_sent_when_its_switch_is_on_and_named_when_it_is_off",
    ),
    (
        "llm[].document_enabled",
        "attachments::each_kind_of_file_is_sent_when_its_switch_is_on_and_named_when_it_is_off",
    ),
    ("llm[].tool_enabled", "attachments::tools_are_offered_only_when_their_switch_is_on"),
    ("transcription.base_url", "chats::a_recording_reaches_the_model_as_words_when_a_service_is_configured"),
    (
        "transcription.api_key",
        "transcription::a_recording_is_sent_as_it_is_configured_and_its_words_come_back",
    ),
    ("transcription.model", "transcription::a_recording_is_sent_as_it_is_configured_and_its_words_come_back"),
    (
        "transcription.timeout_seconds",
        "transcription::a_service_that_is_silent_is_waited_for_as_long_as_is_configured",
    ),
    ("transcription.max_mib", "transcription::a_recording_is_as_large_as_is_configured"),
    ("models.attempts", "failover::attempts_end_at_their_number"),
    ("models.total_seconds", "failover::attempts_end_when_their_time_is_over"),
    ("prices.*.input", "codecs::usage_and_cost_are_recorded_to_the_millionth"),
    ("prices.*.output", "codecs::usage_and_cost_are_recorded_to_the_millionth"),
    ("prices.*.cache_read", "codecs::usage_and_cost_are_recorded_to_the_millionth"),
    ("prices.*.cache_write", "codecs::usage_and_cost_are_recorded_to_the_millionth"),
    (
        "agent.max_resumes",
        "actors::a_message_that_fells_its_conversation_again_and_again_is_given_up_honestly",
    ),
    (
        "agent.memory.auto_retrieval",
        "prompt::memories_that_matter_come_with_the_message_as_far_as_they_are_wanted",
    ),
    (
        "agent.memory.retrieval_limit",
        "prompt::memories_that_matter_come_with_the_message_as_far_as_they_are_wanted",
    ),
    ("agent.memory.auto_extraction", "town::reading_is_switched_off"),
    ("server.allowed_hosts", "access::a_name_that_is_not_ours_is_refused_before_the_key_is_looked_at"),
    ("server.public_url", "chats::what_telegram_does_not_take_goes_out_as_a_link"),
    ("server.allowed_origins", "access::an_allowed_web_page_may_ask_and_read_also_what_went_wrong"),
    ("server.max_body_mib", "access::a_body_beyond_the_cap_is_refused_whether_its_length_is_told_or_not"),
    ("server.requests_per_minute", "access::a_key_that_asks_too_often_waits_and_others_do_not"),
    ("server.lockout_failures", "access::an_address_with_too_many_wrong_keys_is_locked_out"),
    ("server.lockout_minutes", "access::an_address_with_too_many_wrong_keys_is_locked_out"),
    ("agent.workspace", "tools::the_workspace_is_where_the_configuration_says"),
    ("agent.max_iterations", "limits::a_turn_has_fifty_steps_or_as_many_as_are_configured"),
    ("agent.max_input_length", "limits::a_message_has_4096_characters_or_as_many_as_are_configured"),
    ("agent.history_limit", "history::a_hundred_messages_are_sent_along_or_as_many_as_are_configured"),
    ("agent.context_tokens", "history::a_long_conversation_is_summarised_once_and_goes_on_from_the_summary"),
    (
        "agent.max_continuations",
        "limits::a_cut_off_answer_is_continued_three_times_or_as_often_as_is_configured",
    ),
    ("agent.max_repeated_failures", "limits::the_same_call_fails_three_times_or_as_often_as_is_configured"),
    ("agent.tool_timeout_seconds", "limits::a_tool_that_takes_too_long_is_ended_and_the_model_is_told"),
    ("agent.turn_timeout_seconds", "limits::a_turn_that_takes_too_long_is_ended_whatever_it_does"),
    ("agent.approval_hours", "approvals::a_question_is_open_for_a_day_when_nothing_else_is_said"),
    ("agent.while_busy", "busy::the_channel_decides_before_the_agent_and_the_message_before_both"),
    ("agent.queue_limit", "limits::twenty_messages_wait_or_as_many_as_are_configured"),
    (
        "agent.session_idle_minutes",
        "limits::an_idle_conversation_leaves_memory_after_a_quarter_of_an_hour_or_as_configured",
    ),
    ("budgets.turn.tokens", "budgets::the_tokens_of_a_turn_hold"),
    ("budgets.turn.usd", "budgets::the_money_of_a_turn_holds"),
    ("budgets.turn.tool_calls", "budgets::the_tool_calls_of_a_turn_hold"),
    ("budgets.turn.minutes", "budgets::the_minutes_of_a_turn_hold"),
    ("budgets.user_day.tokens", "budgets::the_tokens_of_a_users_day_hold"),
    ("budgets.user_day.usd", "budgets::the_money_of_a_users_day_holds"),
    ("budgets.user_day.tool_calls", "budgets::the_tool_calls_of_a_users_day_hold"),
    ("budgets.user_day.minutes", "budgets::the_minutes_of_a_users_day_hold"),
    ("channels.api.while_busy", "busy::the_channel_decides_before_the_agent_and_the_message_before_both"),
    (
        "channels.api.messages_per_minute",
        "limits::messages_a_minute_are_unlimited_or_as_many_as_are_configured",
    ),
    ("channels.terminal.while_busy", "busy::the_terminal_decides_for_itself"),
    ("sandbox.runtime", "sandbox::gvisor_is_used_unless_runc_is_asked_for_and_then_it_is_warned_of"),
    (
        "sandbox.docker",
        "sandbox::docker_is_looked_for_where_the_configuration_says_and_nobody_fails_without_it",
    ),
    ("sandbox.image", "sandbox::the_configured_image_is_the_one_that_is_used"),
    ("sandbox.memory_mib", "sandbox::a_sandbox_gets_what_the_configuration_gives_it"),
    ("sandbox.cpus", "sandbox::a_sandbox_gets_what_the_configuration_gives_it"),
    ("sandbox.processes", "sandbox::a_sandbox_gets_what_the_configuration_gives_it"),
    ("sandbox.tmp_mib", "sandbox::a_sandbox_gets_what_the_configuration_gives_it"),
    ("sandbox.disk_mib", "sandbox::a_sandbox_gets_what_the_configuration_gives_it"),
    ("jobs.parallel", "jobs::as_many_jobs_run_at_once_as_are_configured"),
    ("jobs.restarts", "jobs::an_engine_that_falls_is_started_again_as_often_as_is_configured"),
    ("jobs.turns", "jobs::an_engine_asks_its_model_as_often_as_is_configured"),
    ("jobs.quiet_minutes", "jobs::an_engine_may_be_silent_as_long_as_is_configured"),
    ("jobs.command_minutes", "jobs::a_command_takes_as_long_as_is_configured"),
    ("jobs.approval_hours", "jobs::a_question_of_a_job_is_open_as_long_as_is_configured"),
    ("jobs.author_email", "jobs::commits_are_by_the_address_that_is_configured"),
    ("jobs.keep_days", "jobs::a_workspace_is_kept_as_long_as_is_configured"),
    ("git.ssh_key", "jobs::repositories_over_ssh_are_opened_with_the_configured_key_and_hosts"),
    ("git.known_hosts", "jobs::repositories_over_ssh_are_opened_with_the_configured_key_and_hosts"),
    ("budgets.job.tokens", "jobs::the_budget_of_a_job_holds_until_an_owner_raises_it"),
    ("budgets.job.usd", "jobs::the_budget_of_a_job_holds_until_an_owner_raises_it"),
    ("jobs.bots", "bots_at_work::running_bots_leave_stories_to_others_when_the_configuration_says_so"),
    (
        "jobs.request_poll_minutes",
        "bots_at_work::a_merge_takes_the_card_to_done_as_soon_as_the_configuration_lets_it_be_seen",
    ),
    ("jobs.log_mib", "tasks::the_log_of_a_task_is_as_long_as_it_may_be"),
    ("channels.webhook.enabled", "webhook::only_what_is_wanted_is_posted_and_nothing_when_it_is_off"),
    ("channels.webhook.callback_url", "webhook::what_happens_is_posted_signed_and_files_are_links"),
    (
        "channels.webhook.private_addresses",
        "webhook::it_does_not_start_towards_an_address_that_is_not_public_unless_that_is_allowed",
    ),
    ("channels.webhook.events", "webhook::only_what_is_wanted_is_posted_and_nothing_when_it_is_off"),
    ("channels.webhook.secret", "tasks::without_a_secret_no_callback_is_taken"),
    ("jobs.private_callbacks", "tasks::a_callback_goes_to_the_internet_unless_others_are_allowed"),
    ("skills.*.enabled", "tools::a_skill_with_scripts_cannot_be_used_unless_the_configuration_lets_it"),
    ("skills.*.run_on_host", "tools::a_skill_with_scripts_cannot_be_used_unless_the_configuration_lets_it"),
    ("skills.*.approval", "approvals::the_configuration_can_have_every_call_of_a_skill_ask"),
    ("skills.*.*", "tools::a_script_sees_its_own_settings_and_no_secret"),
    ("channels.telegram.enabled", "chats::a_platform_is_listened_to_when_it_is_switched_on"),
    ("channels.telegram.token", "chats::a_platform_is_asked_with_the_token_that_is_configured"),
    ("channels.telegram.policy", "town::each_platform_has_rules_of_its_own"),
    ("channels.telegram.allowed_users", "town::each_platform_has_rules_of_its_own"),
    ("channels.telegram.allowed_chats", "town::members_of_a_listed_group_may_write_there_alone"),
    ("channels.telegram.mention_only", "town::each_platform_has_rules_of_its_own"),
    ("channels.telegram.while_busy", "town::each_platform_says_what_a_message_does_while_a_turn_runs"),
    ("channels.telegram.messages_per_minute", "town::each_platform_has_rules_of_its_own"),
    ("channels.telegram.max_file_mib", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.telegram.photo_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.telegram.audio_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.telegram.video_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.telegram.document_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.telegram.api_url", "chats::a_platform_is_asked_where_the_configuration_says"),
    ("channels.telegram.acknowledge", "chats::a_reaction_shows_that_a_message_was_taken_where_it_is_wanted"),
    (
        "channels.telegram.webhook_url",
        "chats::updates_are_brought_where_and_with_the_secret_that_the_configuration_says",
    ),
    (
        "channels.telegram.webhook_secret",
        "chats::updates_are_brought_where_and_with_the_secret_that_the_configuration_says",
    ),
    ("channels.discord.enabled", "chats::a_platform_is_listened_to_when_it_is_switched_on"),
    ("channels.discord.token", "chats::a_platform_is_asked_with_the_token_that_is_configured"),
    ("channels.discord.policy", "town::each_platform_has_rules_of_its_own"),
    ("channels.discord.allowed_users", "town::each_platform_has_rules_of_its_own"),
    ("channels.discord.allowed_chats", "town::members_of_a_listed_group_may_write_there_alone"),
    ("channels.discord.mention_only", "town::each_platform_has_rules_of_its_own"),
    ("channels.discord.while_busy", "town::each_platform_says_what_a_message_does_while_a_turn_runs"),
    ("channels.discord.messages_per_minute", "town::each_platform_has_rules_of_its_own"),
    ("channels.discord.max_file_mib", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.discord.photo_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.discord.audio_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.discord.video_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.discord.document_enabled", "town::each_platform_takes_the_files_that_it_is_told_to"),
    ("channels.discord.api_url", "chats::a_platform_is_asked_where_the_configuration_says"),
    (
        "channels.discord.gateway_url",
        "chats::the_gateway_is_the_one_that_is_configured_or_that_the_api_names",
    ),
];

/// The tests of a module, by name: those in its file, and in the folder of that name.
fn tests_of(module: &str) -> Vec<String> {
    let path = format!("{}/tests/it/{module}", env!("CARGO_MANIFEST_DIR"));
    let below = std::fs::read_dir(&path).into_iter().flatten().map(|entry| entry.unwrap().path());
    let files = below.chain([format!("{path}.rs").into()]);
    let text: String = files.map(|file| std::fs::read_to_string(file).unwrap_or_default() + "\n").collect();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let pairs = lines.windows(2).filter(|pair| matches!(pair[0], "#[test]" | "#[tokio::test]"));
    pairs
        .filter_map(|pair| pair[1].trim_start_matches("async ").strip_prefix("fn ")?.split('(').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_has_a_test_that_flips_it() {
    let proven = BTreeMap::from_iter(PROVEN.to_vec());
    let mut faults = Vec::new();
    for key in KEYS.iter().filter(|key| key.kind != Kind::Planned) {
        let Some(test) = proven.get(key.path) else {
            faults.push(format!("{} has no test that flips it", key.path));
            continue;
        };
        let (module, name) = test.split_once("::").unwrap();
        if !tests_of(module).iter().any(|known| known == name) {
            faults.push(format!("{}: there is no test `{test}`", key.path));
        }
    }
    for path in proven.keys() {
        if !KEYS.iter().any(|key| key.path == *path && key.kind != Kind::Planned) {
            faults.push(format!("{path} is no key"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(proven.len(), PROVEN.len(), "a key is listed twice");
}

#[tokio::test]
async fn a_platform_that_is_switched_on_needs_its_token() {
    for name in ["telegram", "discord"] {
        let site =
            Site::new(&format!("llm: {{provider: rehearsal}}\nchannels: {{{name}: {{enabled: true}}}}"));
        let Err(text) = site.try_start(&[]) else { panic!("it started without a token") };
        let missing = format!("channels.{name}.token: {name} needs the token of its bot");
        assert!(text.contains(&missing), "{text}");
        site.configure(&format!("llm: {{provider: rehearsal}}\nchannels: {{{name}: {{enabled: false}}}}"));
        assert!(site.say(&["check"]).contains("is well"));
        let open = format!("channels: {{{name}: {{enabled: true, token: '1:x', policy: open}}}}");
        site.configure(&format!("llm: {{provider: rehearsal}}\n{open}"));
        let said = site.say(&["check"]);
        assert!(said.contains(&format!("everybody who finds the bot on {name} may write to it")), "{said}");
    }
}

#[test]
fn addresses_and_secrets_of_platforms_are_checked() {
    let site = Site::new("llm: {provider: rehearsal}");
    for (text, says) in [
        ("telegram: {api_url: 'ftp://x'}", "channels.telegram.api_url: must begin with http"),
        ("telegram: {webhook_url: 'x'}", "channels.telegram.webhook_url: must begin with http"),
        ("telegram: {webhook_url: 'https://x'}", "channels.telegram.webhook_secret: must be 16 to 256"),
        ("telegram: {acknowledge: perhaps}", "channels.telegram.acknowledge: must be true or false"),
        ("discord: {api_url: 'x'}", "channels.discord.api_url: must begin with http"),
        ("discord: {gateway_url: 'https://x'}", "channels.discord.gateway_url: must begin with wss"),
    ] {
        site.configure(&format!("llm: {{provider: rehearsal}}\nchannels: {{{text}}}"));
        let checked = site.run(&["check"]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!checked.status.success() && said.contains(says), "{text}: {said}");
    }
}

#[tokio::test]
async fn it_listens_where_it_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.9:0").unwrap().local_addr().unwrap().port();
    let site = Site::new(&format!("server: {{host: 127.0.0.9, port: {free}}}\nllm: {{provider: rehearsal}}"));
    let server = site.start();
    assert_eq!(server.base, format!("http://127.0.0.9:{free}"));
    let user = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(user.get("/readyz").await.0, 200);
    assert!(std::net::TcpStream::connect(("127.0.0.1", free)).is_err());
    assert!(site.say(&["status"]).contains("127.0.0.9"));
}

#[tokio::test]
async fn it_does_not_open_itself_to_the_network_without_a_key() {
    let site = Site::new("server: {host: 0.0.0.0, port: 0}\nllm: {provider: rehearsal}");
    let Err(text) = site.try_start(&[]) else { panic!("open to everybody") };
    assert!(text.contains("keys create"), "{text}");
    site.key("me", "owner");
    let server = site.start();
    assert!(site.say(&["status"]).contains(&server.base), "the command line finds it by loopback");
}

#[tokio::test]
async fn the_log_says_as_much_as_it_is_told() {
    for (level, says, hides) in [
        ("error", "", "shutting down"),
        ("info", "shutting down", "DEBUG"),
        ("'warn,atoll::app=info'", "shutting down", "DEBUG"),
        ("'trace,nobody=off'", "TRACE", "nothing of this kind"),
    ] {
        let site = Site::new(&format!("log: {{level: {level}}}\nllm: {{provider: rehearsal}}"));
        let server = site.start();
        site.say(&["chat", "hello"]);
        assert!(server.stop().success());
        let log = site.log();
        assert!(log.contains(says) && !log.contains(hides), "{level}:\n{log}");
    }
    let site = Site::new("log: {level: 'atoll=loudest'}\nllm: {provider: rehearsal}");
    let Err(text) = site.try_start(&[]) else { panic!("no such level") };
    assert!(text.contains("log.level") && text.contains("debug"), "{text}");
}

#[tokio::test]
async fn the_log_has_the_format_that_is_asked_for() {
    for (format, json) in [("pretty", false), ("json", true)] {
        let site = Site::new(&format!("log: {{format: {format}}}\nllm: {{provider: rehearsal}}"));
        let server = site.start();
        site.say(&["chat", "hello"]);
        assert!(server.stop().success());
        let log = site.log();
        assert!(log.lines().count() > 0);
        for line in log.lines() {
            let read: Result<Value, _> = serde_json::from_str(line);
            assert_eq!(read.is_ok_and(|line| line["level"].is_string()), json, "{line}");
        }
    }
}

fn count(site: &Site, table: &str) -> i64 {
    site.store().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_old_and_done_is_let_go_when_retention_says_so() {
    let model = MockModel::start(|request| Reply::say(format!("{}", request.text().contains("long ago"))));
    let site = Site::new(&with_model(&model, "store: {retention_days: 0}"));
    let server = site.start();
    let key = site.key("me", "owner");
    User::new(&server.base, &key).ask("long ago").await;
    User::new(&server.base, &key).ask("and also").await;
    assert!(server.stop().success());
    // Ids begin with the time.
    let age = "UPDATE turns SET id = '0000000' || substr(id, 8), ended_at = 1;
               UPDATE journal SET turn_id = '0000000' || substr(turn_id, 8);
               UPDATE inbound SET id = '0000000' || substr(id, 8), received_at = 1;
               UPDATE outbox SET created_at = 1;";
    site.store().execute_batch(age).unwrap();
    let server = site.start();
    let user = User::new(&server.base, &key);
    until("the scheduler has looked", async || {
        let tree = user.look("/api/v1/actors?kind=scheduler").await;
        tree["actors"][0]["handled"].as_u64().unwrap() > 2
    })
    .await;
    assert_eq!((count(&site, "turns"), count(&site, "outbox")), (2, 2), "0 keeps all for ever");
    assert!(server.stop().success());
    site.configure(&with_model(&model, "store: {retention_days: 1}"));
    let server = site.start();
    until("the old is gone", async || count(&site, "turns") + count(&site, "inbound") == 0).await;
    assert_eq!(count(&site, "journal"), 0);
    assert_eq!(count(&site, "outbox"), 1, "the newest stays, so that numbers only grow");
    let user = User::new(&server.base, &key);
    assert_eq!(user.ask("what was it?").await, "true", "the conversation itself is kept");
    assert_eq!(count(&site, "turns"), 1, "what is young is kept");
}

#[tokio::test]
async fn a_provider_is_asked_as_it_is_configured() {
    for anthropic in [false, true] {
        let model = MockModel::start(|_| Reply::say("hello"));
        let base = if anthropic { model.anthropic() } else { model.openai() };
        let provider = if anthropic { "anthropic" } else { "openai-compatible" };
        let fixed = format!("provider: {provider}, base_url: '{base}', api_key: k");
        for (own, name, asked, max_tokens, temperature) in [
            ("model: one", provider, "one", 4_096, Value::Null),
            (
                "model: two, name: at-home, max_tokens: 77, temperature: 0.25",
                "at-home",
                "two",
                77,
                json!(0.25),
            ),
        ] {
            let site = Site::new(&format!("llm: {{{fixed}, {own}}}"));
            let server = site.start();
            let user = User::new(&server.base, &site.key("me", "owner"));
            user.ask("hi").await;
            let body = model.requests().pop().unwrap().body;
            assert_eq!((&body["model"], &body["max_tokens"]), (&json!(asked), &json!(max_tokens)));
            assert_eq!(body["temperature"], temperature);
            let costs = user.look("/api/v1/costs?by=model").await;
            assert!(costs.to_string().contains(&format!("\"{name}/mock\"")), "{costs}");
        }
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

/// What the start says when it refuses.
fn refusal(config: &str, env: &[(&str, &str)]) -> String {
    match Site::new(config).try_start(env) {
        Ok(_) => panic!("it starts with {config}"),
        Err(text) => text,
    }
}

#[tokio::test]
async fn a_bad_configuration_is_told_with_all_its_faults_and_where_they_are() {
    let text = refusal(
        "agent: {max_iterations: 0, memory: {retrieval_limit: lots}}\nllm: [{provider: openia}, {provider: openai}]",
        &[],
    );
    for part in [
        "config.yaml has 4 faults",
        "agent.max_iterations: must be from 1 to 1000, and is 0",
        "agent.memory.retrieval_limit: must be a whole number",
        "llm[0].provider: must be one of: openrouter, openai, anthropic",
        "llm[1].api_key: openai needs a key: give it here or in OPENAI_API_KEY",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let text = refusal("agent:\n  max_iterations: 3\n bad indent: [", &[]);
    assert!(text.contains("line 4"), "{text}");
    let text = refusal("agent: {max_iterations: 1}\nagent: {max_iterations: 2}", &[]);
    assert!(text.contains("line "), "a key that stands there twice: {text}");
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_what_could_have_been_meant() {
    let text = refusal("agent: {max_iteration: 3}", &[]);
    assert!(text.contains("agent.max_iteration: there is no key `max_iteration` here"), "{text}");
    assert!(text.contains("max_iterations"), "{text}");
    let text = refusal("agents: {}", &[]);
    assert!(text.contains("agents: there is no key") && text.contains("agent, budgets"), "{text}");
}

#[tokio::test]
async fn the_environment_fills_in_what_the_file_leaves_to_it() {
    let model = MockModel::start(|_| Reply::say("hello"));
    let config = "llm: {provider: openai-compatible, base_url: '${BASE}', model: '${MODEL:fallback}', \
                  api_key: '${KEY}'}\nlog: {level: '${LEVEL:info}'}";
    let base = model.openai();
    for (env, asked) in [
        (vec![("BASE", base.as_str()), ("KEY", "k-1")], "fallback"),
        (vec![("BASE", base.as_str()), ("KEY", "k-2"), ("MODEL", "chosen"), ("LEVEL", "debug")], "chosen"),
    ] {
        let site = Site::new(config);
        let server = site.start_with(&env);
        let user = User::new(&server.base, &site.key("me", "owner"));
        assert_eq!(user.ask("hi").await, "hello");
        let request = model.requests().pop().unwrap();
        assert_eq!(request.body["model"], asked);
        assert_eq!(request.headers["authorization"], format!("Bearer {}", env[1].1));
    }
    let text = refusal(config, &[("BASE", &base)]);
    assert!(text.contains("llm[0].api_key: the environment variable KEY is not set"), "{text}");
}

#[tokio::test]
async fn home_and_configuration_are_found_by_the_environment() {
    let site = Site::new("llm: {provider: rehearsal}");
    site.key("me", "owner");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atoll"));
    let config = site.beside().join("other.yaml");
    std::fs::write(&config, "agent: {max_iterations: none}").unwrap();
    let output = command
        .env_clear()
        .env("ATOLL_HOME", site.home())
        .env("ATOLL_CONFIG", &config)
        .args(["status", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = report.to_string();
    assert!(text.contains("other.yaml") && text.contains("agent.max_iterations"), "{text}");
    assert!(text.contains(std::fs::canonicalize(site.home()).unwrap().to_str().unwrap()), "{text}");
}
