//! The rules themselves, tried: each fault that they are there for is planted and must be found.

use crate::{rules::faults, source::Source};

/// A file that breaks no rule.
const GOOD: &str = "//! A good file of a few words.\n";

fn check(file: &str, body: &str, expected: &str) {
    let found = faults(&Source::new(file, &format!("{GOOD}{body}")));
    if expected.is_empty() {
        assert!(found.is_empty(), "{file} is good, but: {found:?}");
    } else {
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "not found in {file}: {expected}; {found:?}"
        );
    }
}

#[test]
fn good_files_pass() {
    check("src/domain/a.rs", "use crate::domain::ids::UserId; use std::collections::BTreeMap;", "");
    check("src/actors/router/a.rs", "use crate::actors::{session::messages::Say, kernel::Door};", "");
    check("src/actors/db/a.rs", "use crate::store::turns;", "");
    check("src/web/a.rs", "use crate::actors::db::messages::Audit;", "");
    check("src/app/a.rs", "use crate::{web::X, llm::Y, actors::db::Db};", "");
}

#[test]
fn a_planted_import_is_found() {
    check("src/domain/a.rs", "use crate::store::turns;", "`domain` may not import");
    check("src/domain/a/b.rs", "use super::super::super::store::turns;", "`domain` may not import");
    check("src/domain/a.rs", "fn f() { crate::store::turns::open() }", "`domain` may not import");
    check("src/ports/a.rs", "use crate::{domain::ids, config::Config};", "`ports` may not import");
    check("src/llm/a.rs", "use crate::skills::loader;", "`llm` may not import");
    check("src/channels/a.rs", "use crate::actors::db::messages::Audit;", "`channels` may not import");
    check("src/actors/session/a.rs", "use crate::store::turns;", "`actors` may not import");
    check("src/actors/session/a.rs", "use crate::llm::http;", "`actors` may not import");
    check("src/web/a.rs", "use crate::actors::db::writer::Writer;", "by their messages only");
    check("src/web/a.rs", "use crate::app::Town;", "`web` may not import");
    check("src/novel/a.rs", "", "no known layer");
}

#[test]
fn a_planted_way_up_is_found() {
    check(
        "src/actors/session/a.rs",
        "use crate::actors::router::messages::Route;",
        "may not send to `router`",
    );
    check(
        "src/actors/llm_pool/a.rs",
        "use super::super::skill_host::messages::Run;",
        "may not send to `skill_host`",
    );
    check(
        "src/actors/router/a.rs",
        "use crate::actors::session::actor::Session;",
        "through its messages only",
    );
    check("src/actors/kernel/a.rs", "use crate::actors::db::messages::Audit;", "`kernel` may not send to");
    check("src/actors/novel/a.rs", "", "has no stage");
}

#[test]
fn planted_impurity_is_found() {
    check("src/domain/a.rs", "async fn f() {}", "not async");
    check("src/domain/a.rs", "fn f() { let _ = async { 1 }; }", "not async");
    check("src/domain/a.rs", "use tokio::time::sleep;", "the domain is pure");
    check("src/domain/a.rs", "fn f() { std::time::Instant::now(); }", "the domain is pure");
    check("src/domain/a.rs", "use std::fs;", "the domain is pure");
    check("src/domain/a.rs", "fn f() { tracing::event() }", "the domain is pure");
}

#[test]
fn planted_sizes_and_habits_are_found() {
    let long = "// a line\n".repeat(400);
    check("src/llm/a.rs", &long, "split it by concern");
    check("src/llm/a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}"), "");
    let body = "    f();\n".repeat(80);
    check("src/llm/a.rs", &format!("fn f() {{\n{body}}}"), "`f` has 82 lines");
    check("src/llm/a.rs", &format!("struct A;\nimpl A {{ fn g() {{\n{body}}} }}"), "`g` has 82 lines");
    check("src/llm/a.rs", "use rusqlite::Connection;", "`rusqlite` stays in");
    check("src/web/a.rs", "fn f() { x.route(1) }", "routes are listed in web/routes.rs");
    let headless = faults(&Source::new("src/llm/a.rs", "fn f() {}"));
    assert!(headless.iter().any(|fault| fault.contains("begin with a `//!` line")), "{headless:?}");
}
