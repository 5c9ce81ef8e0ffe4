//! Single drafts by hand, then any order of events against what must always hold.

use proptest::prelude::*;

use super::*;

fn look(verbosity: Verbosity) -> Look {
    Look { flavor: Flavor::Telegram, is_group: false, verbosity }
}

fn draft() -> Draft {
    Draft::new(look(Verbosity::Normal))
}

fn words(text: &str) -> Event {
    Event::Delta(text.to_owned())
}

fn tool(name: &str, phase: Phase) -> Event {
    Event::Tool { name: name.to_owned(), phase }
}

/// What a step shows: `+` for a new draft, `~` for an edit, `-` for its end, `t` for a sign of life.
fn said(effects: Vec<Effect>) -> Vec<String> {
    let word = |effect| match effect {
        Effect::Typing => "t".to_owned(),
        Effect::Show(part) => format!("+{}", part.markup),
        Effect::Edit(part) => format!("~{}", part.markup),
        Effect::Remove => "-".to_owned(),
    };
    effects.into_iter().map(word).collect()
}

const LONG: &str = "An answer of more than forty characters, surely.";

/// A draft that is shown, at 1000.
fn shown(look: Look) -> Draft {
    let mut draft = Draft::new(look);
    draft.step(0, words(LONG));
    assert_eq!(said(draft.step(1_000, Event::Tick)), [format!("+{LONG}")]);
    assert!(draft.step(1_000, Event::Sent(Sent::Done)).is_empty());
    draft
}

#[test]
fn a_short_answer_that_comes_soon_has_no_draft() {
    let mut draft = draft();
    assert_eq!(said(draft.step(0, Event::Began)), ["t"]);
    assert!(draft.step(100, words("Yes.")).is_empty());
    assert_eq!(draft.wakes_at(), Some(3_100));
    assert!(draft.step(2_500, words(" I do.")).is_empty());
    assert!(draft.step(2_600, Event::Final).is_empty());
    assert_eq!((draft.wakes_at(), draft.is_shown()), (None, false));
}

#[test]
fn a_short_answer_that_comes_slowly_has_one() {
    let mut draft = draft();
    draft.step(0, words("Well …"));
    assert_eq!(draft.wakes_at(), Some(3_000));
    assert_eq!(said(draft.step(3_000, Event::Tick)), ["+Well …"]);
}

#[test]
fn a_long_answer_is_shown_after_a_moment_and_edited_as_it_grows() {
    let mut draft = draft();
    assert!(draft.step(0, words(LONG)).is_empty());
    assert_eq!(draft.wakes_at(), Some(700));
    assert_eq!(said(draft.step(700, Event::Tick)), [format!("+{LONG}")]);
    assert!(draft.step(800, words(" **More**")).is_empty(), "the first is on its way");
    assert_eq!(draft.wakes_at(), None);
    assert!(draft.step(900, Event::Sent(Sent::Done)).is_empty(), "too soon for an edit");
    assert_eq!(draft.wakes_at(), Some(2_200));
    assert_eq!(said(draft.step(2_200, Event::Tick)), [format!("~{LONG} <b>More</b>")]);
    draft.step(2_300, Event::Sent(Sent::Done));
    assert_eq!(draft.wakes_at(), None, "nothing new");
    assert!(draft.step(9_000, Event::Tick).is_empty());
    assert!(draft.step(9_000, words("  \n")).is_empty(), "whitespace changes nothing that is seen");
}

#[test]
fn in_groups_edits_are_rarer() {
    let mut draft = shown(Look { is_group: true, ..look(Verbosity::Normal) });
    draft.step(1_100, words(" more"));
    assert_eq!(draft.wakes_at(), Some(4_000));
}

#[test]
fn signs_of_life_are_repeated_until_it_waits_or_ends() {
    let mut draft = draft();
    assert!(draft.step(0, Event::Waits).is_empty() && draft.wakes_at().is_none());
    assert_eq!(said(draft.step(1_000, Event::Began)), ["t"]);
    assert!(draft.step(1_001, Event::Began).is_empty(), "told twice, shown once");
    assert_eq!(draft.wakes_at(), Some(5_000));
    assert_eq!(said(draft.step(5_200, Event::Tick)), ["t"]);
    assert_eq!(draft.wakes_at(), Some(9_200));
    draft.step(6_000, Event::Waits);
    assert_eq!(draft.wakes_at(), None, "a person is asked");
    assert_eq!(said(draft.step(20_000, Event::Began)), ["t"]);
    draft.step(20_001, Event::Final);
    assert!(draft.wakes_at().is_none() && draft.step(30_000, Event::Tick).is_empty());
}

#[test]
fn another_model_begins_anew_and_what_tools_stand_on_stays() {
    let mut draft = shown(look(Verbosity::Quiet));
    draft.step(1_100, tool("clock", Phase::Started));
    draft.step(1_200, tool("clock", Phase::Finished));
    draft.step(1_300, words("Void."));
    draft.step(1_400, Event::Restart);
    assert!(draft.step(2_500, Event::Tick).is_empty(), "what is seen stays until there is more");
    assert_eq!(said(draft.step(2_600, words("It is four."))), [format!("~{LONG}\n\nIt is four.")]);
    let mut draft = shown(look(Verbosity::Quiet));
    draft.step(1_100, Event::Restart);
    assert_eq!(said(draft.step(2_600, words("Other."))), ["~Other."]);
}

#[test]
fn tools_are_shown_as_wanted() {
    let tale = |verbosity| {
        let mut draft = Draft::new(look(verbosity));
        draft.step(0, words(LONG));
        draft.step(0, tool("web_search", Phase::Started));
        let mut seen = said(draft.step(1_000, Event::Tick));
        draft.step(1_000, Event::Sent(Sent::Done));
        draft.step(2_000, tool("web_search", Phase::Failed));
        seen.extend(said(draft.step(3_000, tool("<x>\n", Phase::Started))));
        draft.step(3_000, Event::Sent(Sent::Done));
        draft.step(3_000, tool("<x>\n", Phase::Finished));
        seen.extend(said(draft.step(6_000, Event::Tick)));
        seen
    };
    assert_eq!(tale(Verbosity::Quiet), [format!("+{LONG}")]);
    let lines = ["⏳ web_search", "⏳ &lt;x&gt;"];
    assert_eq!(
        tale(Verbosity::Normal),
        [format!("+{LONG}\n\n{}", lines[0]), format!("~{LONG}\n\n{}", lines[1]), format!("~{LONG}")]
    );
    assert_eq!(
        tale(Verbosity::Verbose),
        [
            format!("+{LONG}\n\n⏳ web_search"),
            format!("~{LONG}\n\n✗ web_search\n⏳ &lt;x&gt;"),
            format!("~{LONG}\n\n✗ web_search\n✓ &lt;x&gt;"),
        ]
    );
}

#[test]
fn a_tool_that_takes_time_is_shown_before_there_are_words_and_many_are_counted() {
    let mut draft = draft();
    draft.step(0, tool("search", Phase::Started));
    assert_eq!(said(draft.step(700, Event::Tick)), ["+⏳ search"]);
    let mut draft = Draft::new(look(Verbosity::Verbose));
    for at in 0..20 {
        draft.step(0, tool(&format!("t{at}"), Phase::Finished));
    }
    let seen = said(draft.step(700, Event::Tick)).concat();
    assert!(seen.starts_with("+(12 more before)\n✓ t12\n") && seen.ends_with("✓ t19"), "{seen}");
}

#[test]
fn what_is_withdrawn_is_removed_once_it_is_there() {
    let mut draft = shown(look(Verbosity::Normal));
    assert_eq!(said(draft.step(1_100, Event::Withdrawn)), ["-"]);
    assert!(draft.step(1_200, Event::Withdrawn).is_empty());
    for (sent, effects) in
        [(Sent::Done, vec![Effect::Remove]), (Sent::Later { after_ms: 9 }, vec![]), (Sent::Lost, vec![])]
    {
        let mut draft = Draft::new(look(Verbosity::Normal));
        draft.step(0, words(LONG));
        draft.step(700, Event::Tick);
        assert!(draft.step(800, Event::Withdrawn).is_empty(), "it is on its way");
        assert_eq!(draft.step(900, Event::Sent(sent)), effects);
    }
    let mut draft = super::Draft::new(look(Verbosity::Normal));
    assert!(draft.step(0, Event::Withdrawn).is_empty(), "nothing was shown");
}

#[test]
fn after_the_answer_nothing_more_is_shown() {
    let mut draft = draft();
    draft.step(0, words(LONG));
    draft.step(700, Event::Tick);
    draft.step(800, Event::Final);
    assert!(draft.is_on_its_way() && !draft.is_shown());
    for event in [words("x"), Event::Sent(Sent::Done), Event::Began, Event::Withdrawn, Event::Tick] {
        assert!(draft.step(90_000, event).is_empty());
    }
    assert!(draft.is_shown() && !draft.is_on_its_way(), "the answer takes its place");
}

#[test]
fn a_platform_that_says_later_is_heard() {
    let mut draft = draft();
    draft.step(0, words(LONG));
    draft.step(700, Event::Tick);
    draft.step(800, Event::Sent(Sent::Later { after_ms: 30_000 }));
    assert_eq!(draft.wakes_at(), Some(30_800));
    assert_eq!(said(draft.step(30_800, Event::Tick)), [format!("+{LONG}")]);
    draft.step(30_900, Event::Sent(Sent::Done));
    draft.step(31_000, words("."));
    draft.step(33_000, Event::Tick);
    draft.step(33_100, Event::Sent(Sent::Later { after_ms: 0 }));
    assert_eq!(
        said(draft.step(34_500, Event::Tick)),
        [format!("~{LONG}.")],
        "an edit in doubt is made again"
    );
}

#[test]
fn a_draft_that_is_lost_is_not_tried_again() {
    let mut draft = shown(look(Verbosity::Normal));
    draft.step(2_500, words(" more"));
    draft.step(2_600, Event::Sent(Sent::Lost));
    assert!(!draft.is_shown());
    draft.step(9_000, words(" more"));
    assert!(draft.wakes_at().is_none() && draft.step(9_100, Event::Withdrawn).is_empty());
}

#[test]
fn a_draft_shows_one_message_and_keeps_little() {
    let mut draft = shown(look(Verbosity::Normal));
    for _ in 0..2_000 {
        draft.step(1_000, words(&" and many words".repeat(10)));
    }
    assert!(draft.text.len() <= KEPT);
    let edited = said(draft.step(9_000, Event::Tick)).concat();
    assert!(edited.starts_with("~An answer") && edited.ends_with("\n…"), "{edited}");
    assert!(edited.len() > 3_900 && edited.len() < 4_110, "{}", edited.len());
    draft.step(9_100, Event::Sent(Sent::Done));
    assert!(draft.step(19_000, words("more words")).is_empty(), "what is seen does not change");
}

#[test]
fn what_a_session_tells_is_understood() {
    let status = |status| Event::of(Progress::Status { status, approval: None });
    assert_eq!((status("processing"), status("queued")), (Event::Began, Event::Waits));
    assert_eq!(status("waiting_approval"), Event::Waits);
    for (phase, heard) in
        [("started", Phase::Started), ("finished", Phase::Finished), ("failed", Phase::Failed)]
    {
        assert_eq!(Event::of(Progress::Tool { name: "x".into(), phase }), tool("x", heard));
    }
    let outcome = crate::domain::turn::Outcome::Cancelled;
    assert_eq!(Event::of(Progress::Withdrawn { outcome }), Event::Withdrawn);
}

fn event() -> impl Strategy<Value = Event> {
    let phase = prop::sample::select(vec![Phase::Started, Phase::Finished, Phase::Failed]);
    prop_oneof![
        2 => Just(Event::Began),
        1 => Just(Event::Waits),
        8 => "[a-z *_`\n]{0,60}".prop_map(Event::Delta),
        1 => Just(Event::Restart),
        3 => ("[ab]", phase).prop_map(|(name, phase)| Event::Tool { name, phase }),
        1 => prop::sample::select(vec![Event::Withdrawn, Event::Final]),
        6 => prop_oneof![6 => Just(Sent::Done), 1 => (0i64..9_000).prop_map(|after_ms| Sent::Later { after_ms }), 1 => Just(Sent::Lost)]
            .prop_map(Event::Sent),
        6 => Just(Event::Tick),
    ]
}

proptest! {
    #[test]
    fn in_any_order_edits_are_apart_differ_and_end(
        events in prop::collection::vec((event(), 0i64..1_500), 0..120),
        is_group in any::<bool>(),
        verbosity in prop::sample::select(vec![Verbosity::Quiet, Verbosity::Normal, Verbosity::Verbose]),
    ) {
        let least = if is_group { EDIT_IN_GROUP } else { EDIT };
        let mut draft = Draft::new(Look { flavor: Flavor::Discord, is_group, verbosity });
        let (mut now, mut last, mut typed) = (0, None, None);
        let (mut seen, mut under_way): (Option<Part>, Option<Part>) = (None, None);
        let (mut is_over, mut is_removed) = (false, false);
        for (event, later) in events {
            now += later;
            let answered = matches!(event, Event::Sent(_)).then(|| under_way.take()).flatten();
            if event == Event::Sent(Sent::Done) && answered.is_some() {
                seen = answered;
            }
            let ends = matches!(event, Event::Withdrawn | Event::Final);
            for effect in draft.step(now, event) {
                match effect {
                    Effect::Typing => {
                        prop_assert!(!is_over && typed.is_none_or(|at| now - at >= typing(Flavor::Discord) || now > at));
                        typed = Some(now);
                    }
                    Effect::Show(part) | Effect::Edit(part) => {
                        prop_assert!(!is_over && !ends && under_way.is_none());
                        prop_assert!(last.is_none_or(|at| now - at >= least));
                        prop_assert!(seen.as_ref() != Some(&part) , "an edit without a change");
                        last = Some(now);
                        under_way = Some(part);
                    }
                    Effect::Remove => {
                        prop_assert!(seen.is_some() && under_way.is_none() && !is_removed);
                        is_removed = true;
                    }
                }
            }
            is_over |= ends;
            prop_assert!(draft.wakes_at().is_none_or(|at| !is_over && at > now), "it would never sleep");
        }
    }
}
