//! The process dies while a conversation is read for facts: they are kept once all the same, and the books never
//! show less than was spent.

use crate::support::*;

/// Where it dies; before and after each commit.
pub(super) const KILLS: &[&str] = &["commit:prepay", "commit:keep_facts"];

const FACT: &str = "Ann keeps bees on the roof.";
/// A quiet minute, and a little more.
const QUIET: i64 = 70_000;

#[tokio::test]
async fn a_reading_that_was_cut_off_is_made_again_and_keeps_each_fact_once() {
    for kill in
        ["before_commit:prepay", "after_commit:prepay", "before_commit:keep_facts", "after_commit:keep_facts"]
    {
        let model = MockModel::start(|_| Reply::say("how nice"));
        model.finds(&[FACT]);
        let site = Site::new(&with_model(&model, ""));
        let key = site.key("ann", "developer");
        let clock = clock(&site, 0);
        let mut server = site.start_with(&[("ATOLL_FAULT", kill), ("ATOLL_CLOCK", &clock)]);
        User::new(&server.base, &key).ask("I keep bees on the roof of my house").await;
        crate::support::clock(&site, QUIET);
        until(kill, async || server.is_dead()).await;
        drop(server);

        let server = site.start_with(&[("ATOLL_CLOCK", &clock)]);
        User::new(&server.base, &key).ask("and I sell their honey on Saturdays").await;
        crate::support::clock(&site, 2 * QUIET);
        let read = "SELECT count(*) FROM conversations WHERE extracted_through >= 2";
        until(kill, async || site.number(read) == 1).await;
        assert_eq!(site.number("SELECT count(*) FROM memories"), 1, "{kill}");
        let last = model.readings().pop().unwrap().text();
        assert!(last.contains("honey"), "{kill}: the later turn was not read");
        assert_eq!(last.contains("roof of my house"), kill != "after_commit:keep_facts", "{kill}: {last}");
        let missing =
            "SELECT (SELECT sum(input + output) FROM costs) - (SELECT sum(spent_tokens) FROM spend)";
        assert!(site.number(missing) <= 0, "{kill}: the books show less than was spent");
        assert_eq!(site.number("SELECT sum(reserved_tokens) FROM spend"), 0, "{kill}");
        assert!(server.stop().success());
    }
}
