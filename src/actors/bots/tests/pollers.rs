//! What a bot takes, when, and what becomes of it when it is stopped; what schedules give.

use super::*;

#[actix::test]
async fn a_running_bot_takes_a_story_soon_and_looks_again_when_its_interval_is_over() {
    let town = town(with(bot(BotChange::default()), &["one", "two"]));
    town.pass(4).await;
    assert_eq!(town.world.lock().unwrap().claims, 0, "jobs that go on renew their claims first");
    town.pass(2).await;
    assert_eq!(town.given(), ["one"]);
    {
        let mut world = town.world.lock().unwrap();
        let task = &world.given[0];
        assert_eq!(task.id, story_job(&StoryId::new("one"), 1));
        assert_eq!(task.story, Some(ForStory { story: StoryId::new("one"), token: 1 }));
        assert_eq!((task.user.as_str(), task.bot.as_ref().unwrap().as_str()), ("bot:b", "b"));
        world.held.clear();
    }
    assert_eq!(town.report().await.taken, 1);
    town.pass(50).await;
    assert_eq!(town.given(), ["one"]);
    town.pass(15).await;
    assert_eq!(town.given(), ["one", "two"]);
}

#[actix::test]
async fn a_bot_takes_as_many_as_it_may_at_once_and_tells_its_job_why_it_failed_before() {
    let change = BotChange { max_concurrent_stories: Some(2), ..Default::default() };
    let mut world = with(bot(change), &["one", "two", "three"]);
    let on = |story: &str| Some(ForStory { story: StoryId::new(story), token: 1 });
    let mut failed = stored(NewTask { story: on("one"), ..test_task("old") }, "failed", true);
    failed.head.outcome = Some(crate::domain::job::Outcome::Failed);
    failed.head.text = "the tests fail".into();
    world.ready[0].attachments.push(FileId::new("f"));
    world.tasks.push(failed);
    let town = town(world);
    town.pass(6).await;
    assert_eq!(town.given(), ["one", "two"]);
    let world = town.world.lock().unwrap();
    assert!(world.given[0].instruction.contains("- the tests fail"), "{}", world.given[0].instruction);
    assert!(!world.given[1].instruction.contains("did not succeed"));
    assert_eq!(world.given[0].attachments.len(), 1);
}

#[actix::test]
async fn a_day_that_is_spent_is_told_once_and_nothing_is_taken_until_the_next() {
    let change = BotChange { day_micros: Some(Some(1_000)), ..Default::default() };
    let mut world = with(bot(change), &["one"]);
    world.spent = Amount { micros: 1_000, ..Amount::ZERO };
    let town = town(world);
    town.pass(600).await;
    assert_eq!(town.world.lock().unwrap().claims, 0);
    let journal: Vec<Entry> = town.world.lock().unwrap().journal.values().cloned().collect();
    assert_eq!(journal.len(), 1, "{journal:?}");
    assert!(journal[0].summary.contains("budget is spent"));
    assert!(town.report().await.waits.unwrap().contains("next day"));
    // The next day has an account of its own.
    town.world.lock().unwrap().spent = Amount::ZERO;
    town.pass(61).await;
    assert_eq!(town.given(), ["one"]);
}

#[actix::test]
async fn a_story_whose_job_is_not_taken_is_given_back_and_tried_ever_more_rarely() {
    let mut world = with(bot(BotChange::default()), &["one"]);
    world.refuses = Some(JobRefused::NotNow("no".into()));
    let town = town(world);
    town.pass(6).await;
    assert_eq!(town.world.lock().unwrap().released, [(StoryId::new("one"), 1, Outcome::Returned)]);
    assert!(town.report().await.error.unwrap().contains("could not be begun: no"));
    town.pass(3_600).await;
    let tries = town.world.lock().unwrap().released.len();
    assert!((3..12).contains(&tries), "{tries} in an hour");
    town.world.lock().unwrap().refuses = None;
    town.pass(16 * 60).await;
    assert_eq!(town.given(), ["one"]);
    town.pass(61).await;
    assert_eq!(town.report().await.error, None);
}

#[actix::test]
async fn what_was_claimed_before_a_crash_becomes_a_job_and_never_two() {
    let mut world = with(bot(BotChange::default()), &[]);
    let claim = |id: &str| Some(Claim { bot: BotId::new(id), until: 9 });
    let of =
        |id: &str, bot: &str| Story { title: id.into(), claim: claim(bot), token: 3, ..story(id, "doing") };
    world.held = vec![of("cut", "b"), of("known", "b"), of("others", "c")];
    let on = Some(ForStory { story: StoryId::new("known"), token: 3 });
    let known = NewTask { id: story_job(&StoryId::new("known"), 3), story: on, ..test_task("x") };
    world.tasks.push(stored(known, "running", false));
    let town = town(world);
    town.pass(200).await;
    assert_eq!(town.given(), ["cut"]);
}

#[actix::test]
async fn a_bot_that_is_paused_takes_nothing_and_one_that_is_stopped_ends_its_jobs() {
    let town = town(with(bot(BotChange { state: Some(BotState::Paused), ..Default::default() }), &["one"]));
    let state = |id: &str, state: &str| {
        let asked = NewTask { bot: Some(BotId::new("b")), ..test_task(id) };
        stored(asked, state, false)
    };
    town.world.lock().unwrap().tasks =
        vec![state("j1", "running"), state("j2", "awaiting_approval"), state("j3", "pushing")];
    town.change(BotState::Paused).await;
    town.pass(300).await;
    assert_eq!(town.world.lock().unwrap().claims, 0);
    assert!(town.world.lock().unwrap().told.is_empty(), "what runs goes on");
    town.change(BotState::Running).await;
    town.pass(6).await;
    assert_eq!(town.given(), ["one"]);
    town.world.lock().unwrap().tasks.retain(|task| task.asked.story.is_none());
    town.change(BotState::Stopped).await;
    assert_eq!(town.world.lock().unwrap().told, [(JobId::new("j1"), JobOrder::Cancel)]);
    let claims = town.world.lock().unwrap().claims;
    town.pass(300).await;
    assert_eq!(town.world.lock().unwrap().claims, claims);
}

#[actix::test]
async fn a_lost_word_of_a_change_costs_half_a_minute() {
    let town = town(with(bot(BotChange { state: Some(BotState::Stopped), ..Default::default() }), &["one"]));
    town.pass(100).await;
    town.world.lock().unwrap().bots.get_mut("b").unwrap().state = BotState::Running;
    town.pass(36).await;
    assert_eq!(town.given(), ["one"]);
    // The store gave the story back when the bot was stopped: its job is found by that.
    {
        let mut world = town.world.lock().unwrap();
        world.bots.get_mut("b").unwrap().state = BotState::Stopped;
        let story = world.held.pop().unwrap();
        world.ready.push_back(Story { claim: None, ..story });
    }
    town.pass(31).await;
    let told = town.world.lock().unwrap().told.clone();
    assert_eq!(told[0], (story_job(&StoryId::new("one"), 1), JobOrder::Cancel));
}

#[actix::test]
async fn a_bot_without_stories_looks_for_work_once_an_hour_when_it_is_to() {
    let idle = town(with(bot(BotChange::default()), &[]));
    idle.pass(7_200).await;
    assert!(idle.given().is_empty(), "never unasked");

    let town = town(with(bot(BotChange { idle: Some(Idle::Discovery), ..Default::default() }), &[]));
    town.pass(6).await;
    assert!(town.world.lock().unwrap().given[0].discovery);
    // Nothing comes of it, and it is not begun again at once.
    town.world.lock().unwrap().tasks[0].head.over = true;
    town.pass(1_800).await;
    assert_eq!(town.given().len(), 1);
    assert!(town.report().await.waits.unwrap().contains("within this hour"));
    town.pass(1_900).await;
    assert_eq!(town.given().len(), 2);
    town.world.lock().unwrap().tasks[1].head.over = true;
    town.world.lock().unwrap().proposals = 1;
    town.pass(7_200).await;
    assert_eq!(town.given().len(), 2, "what it proposed waits for a person");
}

#[actix::test]
async fn the_end_waits_for_a_look_that_is_under_way() {
    let town = town(with(bot(BotChange::default()), &["one"]));
    town.pass(5).await;
    town.bots.send(Mail::new(Stop { deadline: 10_000 }, &town.vitals)).await.unwrap();
    town.pass(120).await;
    let world = town.world.lock().unwrap();
    assert_eq!(world.claims as usize, world.given.len(), "what was claimed was given");
    assert!(!town.bots.connected());
}

#[actix::test]
async fn a_schedule_gives_one_job_however_many_times_were_missed_and_never_the_same_twice() {
    let change = ScheduleChange {
        instruction: Some("tidy up".into()),
        cron: Some("*/5 * * * *".into()),
        bot: Some(Some(BotId::new("b"))),
        ..Default::default()
    };
    let ann = UserId::new("ann");
    let mut schedule = Schedule::fresh(ScheduleId::new("n"), ProjectId::new("p"), ann, &change, 0).unwrap();
    // It was due long before Atoll was started.
    schedule.next_run_at = Some(-3_600_000);
    let mut world = with(bot(BotChange { state: Some(BotState::Paused), ..Default::default() }), &[]);
    world.schedules.push(schedule);
    world.ran_fails = 2;
    let town = town(world);
    town.pass(60).await;
    assert_eq!(town.given(), ["tidy up"], "its coming was not stored twice, and it was given once");
    {
        let world = town.world.lock().unwrap();
        assert_eq!(world.ran.len(), 1);
        assert_eq!(world.ran[0].2, Some(300_000));
        assert_eq!(world.given[0].actor, "schedule:n");
        assert_eq!(world.given[0].user.as_str(), "bot:b");
    }
    town.pass(250).await;
    assert_eq!(town.given().len(), 2);
    town.world.lock().unwrap().refuses = Some(JobRefused::NotNow("shutting down".into()));
    town.pass(300).await;
    assert_eq!((town.given().len(), town.world.lock().unwrap().ran.len()), (2, 2), "it waits");
    town.world.lock().unwrap().refuses = None;
    town.pass(10).await;
    assert_eq!((town.given().len(), town.world.lock().unwrap().ran.len()), (3, 3));
}

#[actix::test]
async fn claims_of_jobs_that_go_on_are_renewed_once_before_any_bot_looks() {
    let mut world = with(bot(BotChange { poll_interval_seconds: Some(1), ..Default::default() }), &["two"]);
    let on = Some(ForStory { story: StoryId::new("one"), token: 3 });
    let story =
        Story { token: 3, claim: Some(Claim { bot: BotId::new("c"), until: 0 }), ..story("one", "doing") };
    world.held.push(story);
    let goes_on = NewTask { story: on, bot: Some(BotId::new("c")), ..test_task("j") };
    world.tasks = vec![stored(goes_on, "preparing", false), stored(test_task("k"), "running", false)];
    let town = town(world);
    town.pass(100).await;
    let world = town.world.lock().unwrap();
    assert_eq!(world.renewed, [(StoryId::new("one"), 3, 0)]);
    assert!(world.claims > 0 && world.told.is_empty());
}
