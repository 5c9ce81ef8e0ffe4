//! What came in and is not settled: in order for each chat, albums put together, and how far all of it is done. Pure: time
//! comes in as milliseconds of any clock that only goes forward.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::domain::{
    chat::{Event, Incoming},
    gate::{self, Haste},
};

use super::{moved, read::Reading};

/// An album is waited for at most so many times the usual.
const LONGEST: u64 = 3;

/// The desk.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// One above the highest number that came; `None` when the server knows that all of it is settled.
    next: Option<i64>,
    open: BTreeSet<i64>,
    /// Of the open ones those that are noted down: the server need not keep them.
    noted: BTreeSet<i64>,
    /// Settled, and the server may offer it again.
    settled: BTreeSet<i64>,
    /// By chat; what waits for nothing is in a line of its own.
    chats: BTreeMap<String, VecDeque<Item>>,
}

/// One thing to take, with the numbers of all updates that it came in.
#[derive(Debug)]
struct Item {
    numbers: Vec<i64>,
    pieces: Vec<Incoming>,
    album: Option<String>,
    due: u64,
    latest: u64,
    taken: bool,
    /// From then on it waits no more for what came before it.
    hurries: Option<u64>,
}

impl Desk {
    /// Puts an update here. False when it is here already. `hold` is how long an album waits for its next piece.
    pub(super) fn offer(&mut self, number: i64, reading: Reading, now: u64, hold: u64) -> bool {
        self.next = self.next.max(Some(number.saturating_add(1)));
        if self.open.contains(&number) || self.settled.contains(&number) {
            return false;
        }
        let Reading::Heard { incoming, album } = reading else {
            self.settled.insert(number);
            return true;
        };
        self.put(number, *incoming, album, now, hold);
        true
    }

    /// Puts one here that an earlier run noted down: the server is told nothing of it.
    pub(super) fn restore(&mut self, number: i64, reading: Reading, now: u64, hold: u64) {
        if let Reading::Heard { incoming, album } = reading
            && !self.open.contains(&number)
        {
            self.noted.insert(number);
            self.put(number, *incoming, album, now, hold);
        }
    }

    fn put(&mut self, number: i64, incoming: Incoming, album: Option<String>, now: u64, hold: u64) {
        self.open.insert(number);
        let (haste, chat) = (gate::haste(&incoming.event), &incoming.place.chat);
        let line = if haste == Haste::Beside { beside(chat, number) } else { chat.clone() };
        let queue = self.chats.entry(line).or_default();
        let same = |item: &&mut Item| album.is_some() && item.album == album && !item.taken;
        if let Some(item) = queue.iter_mut().find(same) {
            item.numbers.push(number);
            item.pieces.push(incoming);
            item.due = (now + hold).min(item.latest);
            return;
        }
        let due = if album.is_some() { now + hold } else { now };
        let latest = now + LONGEST * hold;
        let hurries = (haste == Haste::Ends).then_some(now + gate::SOON_MS);
        let (numbers, pieces) = (vec![number], vec![incoming]);
        queue.push_back(Item { numbers, pieces, album, due, latest, taken: false, hurries });
    }

    /// What ends work, and waited long enough behind others, gets a line of its own.
    fn hasten(&mut self, now: u64) {
        let mut hasty = Vec::new();
        for (chat, queue) in &mut self.chats {
            let late = |item: &Item| item.hurries.is_some_and(|at| at <= now);
            while let Some(at) = queue.iter().skip(1).position(late) {
                hasty.extend(queue.remove(at + 1).map(|item| (beside(chat, item.numbers[0]), item)));
            }
        }
        self.chats.extend(hasty.into_iter().map(|(line, item)| (line, VecDeque::from([item]))));
    }

    /// What may be taken now: the first of each chat. It stays first until it is [`done`](Self::done) or
    /// [`given back`](Self::given_back).
    pub(super) fn ready(&mut self, now: u64) -> Vec<(String, Incoming)> {
        self.hasten(now);
        let mut ready = Vec::new();
        for (chat, queue) in &mut self.chats {
            let Some(item) = queue.front_mut().filter(|item| !item.taken && item.due <= now) else {
                continue;
            };
            item.taken = true;
            if let Some(whole) = join(&item.pieces) {
                ready.push((chat.clone(), whole));
            }
        }
        ready
    }

    /// When something becomes ready by itself.
    pub(super) fn due(&self) -> Option<u64> {
        let waiting = self.chats.values().filter_map(VecDeque::front).filter(|item| !item.taken);
        let hasty =
            self.chats.values().flat_map(|queue| queue.iter().skip(1)).filter_map(|item| item.hurries);
        waiting.map(|item| item.due).chain(hasty).min()
    }

    /// The first of this chat is settled. Gives its numbers.
    pub(super) fn done(&mut self, chat: &str) -> Vec<i64> {
        let Some(queue) = self.chats.get_mut(chat) else { return Vec::new() };
        let numbers = queue.pop_front().map_or_else(Vec::new, |item| item.numbers);
        if queue.is_empty() {
            self.chats.remove(chat);
        }
        self.close(&numbers);
        self.settled.extend(&numbers);
        numbers
    }

    /// The first of this chat was not taken. All of the chat that the server keeps is forgotten, for it will be offered
    /// again, in order. Gives the numbers.
    pub(super) fn given_back(&mut self, chat: &str) -> Vec<i64> {
        let queue = self.chats.remove(chat).unwrap_or_default();
        let is_noted = |item: &Item| item.numbers.iter().any(|number| self.noted.contains(number));
        let (mut kept, given): (Vec<Item>, Vec<Item>) = queue.into_iter().partition(is_noted);
        // What was noted in this very moment is taken again, by us.
        kept.iter_mut().for_each(|item| item.taken = false);
        if !kept.is_empty() {
            self.chats.insert(chat.to_owned(), kept.into());
        }
        let numbers: Vec<i64> = given.into_iter().flat_map(|item| item.numbers).collect();
        self.close(&numbers);
        numbers
    }

    fn close(&mut self, numbers: &[i64]) {
        for number in numbers {
            self.open.remove(number);
            self.noted.remove(number);
        }
    }

    /// These are noted down.
    pub(super) fn note(&mut self, numbers: impl IntoIterator<Item = i64>) {
        let open = &self.open;
        self.noted.extend(numbers.into_iter().filter(|number| open.contains(number)));
    }

    /// The first of this chat is noted down: the server will not offer it again.
    pub(super) fn is_first_noted(&self, chat: &str) -> bool {
        let first = self.chats.get(chat).and_then(VecDeque::front);
        first.is_some_and(|item| item.numbers.iter().any(|number| self.noted.contains(number)))
    }

    /// This update is not settled.
    pub(super) fn is_open(&self, number: i64) -> bool {
        self.open.contains(&number)
    }

    /// How many wait in one chat.
    pub(super) fn waiting_in(&self, chat: &str) -> usize {
        self.chats.get(chat).map_or(0, VecDeque::len)
    }

    /// The updates that are not settled, and whether each is noted down.
    pub(super) fn open(&self) -> impl Iterator<Item = (i64, bool)> {
        self.open.iter().map(|number| (*number, self.noted.contains(number)))
    }

    /// How many updates are not settled, and nowhere but at the server.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() - self.noted.len()
    }

    /// The first number that the server must go on offering. `None` when there is nothing to tell it.
    pub(super) fn offset(&self) -> Option<i64> {
        self.open.difference(&self.noted).next().copied().or(self.next)
    }

    /// The server keeps no numbers of its own to be told: what is settled is forgotten.
    pub(super) fn forget(&mut self) {
        self.acknowledged(self.offset());
    }

    /// The server has been told this offset, and forgets what is below. When that is all, no offset is told any more:
    /// after a week of silence the server begins with numbers anew, which may be lower.
    pub(super) fn acknowledged(&mut self, offset: Option<i64>) {
        let Some(offset) = offset else { return };
        self.settled = self.settled.split_off(&offset);
        if self.waiting() == 0 && self.next == Some(offset) {
            self.next = None;
        }
    }
}

/// The line of something that waits for nothing.
fn beside(chat: &str, number: i64) -> String {
    format!("{chat} {number}")
}

/// The pieces of an album as one message, by the order in which they stand in the chat.
fn join(pieces: &[Incoming]) -> Option<Incoming> {
    let number = |piece: &&Incoming| match &piece.event {
        Event::Message { message, .. } => moved::number(message).unwrap_or(i64::MAX),
        _ => i64::MAX,
    };
    let mut pieces: Vec<&Incoming> = pieces.iter().collect();
    pieces.sort_by_key(number);
    let mut whole = (*pieces.first()?).clone();
    for piece in &pieces[1..] {
        let Event::Message { text: more, files: others, addressed: also, quote: theirs, .. } = &piece.event
        else {
            continue;
        };
        let Event::Message { text, files, addressed, quote, .. } = &mut whole.event else { continue };
        if !text.is_empty() && !more.is_empty() {
            text.push('\n');
        }
        text.push_str(more);
        files.extend(others.iter().cloned());
        *addressed |= also;
        *quote = quote.take().or_else(|| theirs.clone());
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::chat::{Media, Place, RemoteFile, Sender};

    fn heard(chat: i64, message: i64, album: Option<&str>) -> Reading {
        let file = RemoteFile {
            media: Media::Photo,
            name: format!("{message}.jpg"),
            media_type: "image/jpeg".into(),
            size: None,
            reference: "x".into(),
        };
        let event = Event::Message {
            message: message.to_string(),
            text: if message % 2 == 0 { format!("t{message}") } else { String::new() },
            files: if album.is_some() { vec![file] } else { vec![] },
            addressed: message % 3 == 0,
            quote: None,
        };
        let incoming = Box::new(Incoming {
            id: format!("{chat}:{message}"),
            place: Place { chat: chat.to_string(), thread: None },
            seen_as: None,
            group: false,
            sender: Sender { id: "1".into(), name: "Ann".into() },
            at: 0,
            event,
        });
        Reading::Heard { incoming, album: album.map(str::to_owned) }
    }

    fn ids(ready: Vec<(String, Incoming)>) -> Vec<String> {
        ready.into_iter().map(|(_, incoming)| incoming.id).collect()
    }

    #[test]
    fn chats_go_on_side_by_side_and_each_in_order() {
        let mut desk = Desk::default();
        for (number, chat, message) in [(5, 1, 10), (6, 2, 20), (7, 1, 11)] {
            assert!(desk.offer(number, heard(chat, message, None), 0, 1_000));
        }
        assert_eq!(ids(desk.ready(0)), ["1:10", "2:20"]);
        assert!(desk.ready(0).is_empty());
        assert_eq!((desk.done("2"), desk.offset()), (vec![6], Some(5)));
        assert!(
            !desk.offer(6, heard(2, 20, None), 0, 1_000),
            "it is settled, though it cannot be acknowledged"
        );
        assert!(!desk.offer(5, heard(1, 10, None), 0, 1_000), "it is being taken");
        assert_eq!((desk.done("1"), desk.offset()), (vec![5], Some(7)));
        assert_eq!(ids(desk.ready(0)), ["1:11"]);
        desk.done("1");
        assert_eq!((desk.offset(), desk.waiting()), (Some(8), 0));
    }

    #[test]
    fn what_the_server_knows_is_forgotten_and_lower_numbers_are_new() {
        let mut desk = Desk::default();
        desk.offer(1_000, Reading::Nothing("x".into()), 0, 0);
        assert_eq!(desk.offset(), Some(1_001));
        desk.acknowledged(Some(1_001));
        assert_eq!(desk.offset(), None);
        assert!(desk.offer(3, heard(1, 1, None), 0, 0));
        assert_eq!((desk.offset(), ids(desk.ready(0))), (Some(3), vec!["1:1".to_owned()]));
    }

    #[test]
    fn what_is_given_back_takes_the_rest_of_its_chat_along() {
        let mut desk = Desk::default();
        for (number, chat, message) in [(5, 1, 10), (6, 2, 20), (7, 1, 11)] {
            desk.offer(number, heard(chat, message, None), 0, 0);
        }
        assert_eq!(desk.ready(0).len(), 2);
        assert_eq!((desk.given_back("1"), desk.waiting()), (vec![5, 7], 1));
        assert!(desk.offer(5, heard(1, 10, None), 0, 0), "it is new again");
        assert_eq!(ids(desk.ready(0)), ["1:10"]);
    }

    #[test]
    fn what_is_noted_is_the_server_s_no_more_and_what_an_earlier_run_noted_tells_it_nothing() {
        let mut desk = Desk::default();
        desk.restore(900, heard(3, 1, None), 0, 0);
        assert_eq!((desk.offset(), desk.waiting(), desk.is_first_noted("3")), (None, 0, true));
        desk.offer(5, heard(1, 10, None), 0, 0);
        desk.offer(6, heard(1, 11, None), 0, 0);
        assert_eq!((desk.offset(), desk.waiting()), (Some(5), 2));
        desk.note([5, 7]);
        assert_eq!((desk.offset(), desk.waiting(), desk.is_first_noted("1")), (Some(6), 1, true));
        assert_eq!(ids(desk.ready(0)), ["1:10", "3:1"]);
        assert_eq!(desk.given_back("1"), [6], "what is noted comes from nowhere else again");
        assert_eq!((desk.done("1"), desk.done("3"), desk.open().count()), (vec![5], vec![900], 0));
    }

    fn command(chat: i64, message: i64, line: &str) -> Reading {
        let Reading::Heard { mut incoming, album } = heard(chat, message, None) else { panic!() };
        incoming.event = Event::Command { line: line.into(), files: vec![], token: None };
        Reading::Heard { incoming, album }
    }

    #[test]
    fn an_answer_to_a_question_waits_for_nothing_and_what_ends_work_only_for_what_is_quick() {
        let mut desk = Desk::default();
        desk.offer(1, heard(1, 10, None), 0, 0);
        assert_eq!(ids(desk.ready(0)), ["1:10"]);
        desk.offer(2, heard(1, 11, None), 0, 0);
        desk.offer(3, command(1, 12, "/cancel"), 0, 0);
        desk.offer(4, heard(1, 13, None), 0, 0);
        desk.offer(5, command(1, 14, "/approve q1"), 0, 0);
        assert_eq!(ids(desk.ready(0)), ["1:14"]);
        assert!(desk.ready(499).is_empty() && desk.due() == Some(500));
        let ready = desk.ready(500);
        assert_eq!(ready[0].1.id, "1:12");
        assert_eq!((desk.done(&ready[0].0), desk.offset(), desk.due()), (vec![3], Some(1), None));
        // When all before it was quick it keeps its place.
        let mut desk = Desk::default();
        desk.offer(1, heard(1, 10, None), 0, 0);
        desk.offer(2, command(1, 11, "/stop"), 0, 0);
        desk.offer(3, heard(1, 12, None), 0, 0);
        for id in ["1:10", "1:11", "1:12"] {
            assert_eq!(ids(desk.ready(10)), [id]);
            desk.done("1");
        }
    }

    #[test]
    fn an_album_is_one_message_and_holds_its_chat_and_the_offset_until_it_is_whole() {
        let mut desk = Desk::default();
        desk.offer(1, heard(1, 12, Some("a")), 0, 1_000);
        desk.offer(2, heard(1, 14, None), 0, 1_000);
        desk.offer(3, heard(2, 99, None), 0, 1_000);
        assert_eq!(ids(desk.ready(0)), ["2:99"]);
        desk.offer(4, heard(1, 10, Some("a")), 900, 1_000);
        assert_eq!((desk.due(), desk.offset()), (Some(1_900), Some(1)));
        assert!(desk.ready(1_899).is_empty());
        let (chat, whole) = desk.ready(1_900).remove(0);
        let Event::Message { message, text, files, addressed, .. } = whole.event else { panic!() };
        assert_eq!(
            (&*whole.id, &*message, &*text, files.len(), addressed),
            ("1:10", "10", "t10\nt12", 2, true)
        );
        // A piece that comes too late is a message of its own, and is not lost.
        desk.offer(5, heard(1, 13, Some("a")), 2_000, 1_000);
        assert_eq!(desk.done(&chat), [1, 4]);
        assert_eq!(ids(desk.ready(2_000)), ["1:14"]);
        desk.done("1");
        assert_eq!(ids(desk.ready(3_000)), ["1:13"]);
    }

    #[test]
    fn an_album_does_not_wait_for_ever() {
        let mut desk = Desk::default();
        for at in 0..10 {
            desk.offer(at, heard(1, at, Some("a")), at.unsigned_abs() * 900, 1_000);
            if !desk.ready(at.unsigned_abs() * 900).is_empty() {
                assert_eq!(at, 4);
                return;
            }
        }
        panic!("it is still waited for");
    }

    proptest! {
        /// Whatever comes in whatever order: nothing is acknowledged before it is settled or noted, nothing is taken twice,
        /// what is noted is not given back, and in a chat all is taken in the order in which it came.
        #[test]
        fn the_offset_never_passes_what_is_open(
            steps in proptest::collection::vec((0u8..7, 0i64..4, 0i64..30, any::<bool>()), 1..120)
        ) {
            let mut desk = Desk::default();
            let (mut number, mut now) = (0, 0);
            let (mut open, mut noted) = (BTreeSet::new(), BTreeSet::new());
            let mut taken = BTreeMap::<String, Vec<i64>>::new();
            for (step, chat, message, album) in steps {
                now += 100;
                match step {
                    0 | 1 => {
                        number += 1;
                        let album = album.then_some("a");
                        prop_assert!(desk.offer(number, heard(chat, message, album), now, 250));
                        prop_assert!(!desk.offer(number, heard(chat, message, album), now, 250));
                        open.insert(number);
                    }
                    2 => for (chat, _) in desk.ready(now) {
                        let front = desk.chats[&chat][0].numbers[0];
                        let before = taken.entry(chat).or_default();
                        prop_assert!(before.last().is_none_or(|last| *last < front));
                        before.push(front);
                    },
                    3 => {
                        let chat = chat.to_string();
                        let ready = desk.chats.get(&chat).and_then(VecDeque::front).is_some_and(|item| item.taken);
                        if ready {
                            for number in desk.done(&chat) {
                                prop_assert!(open.remove(&number));
                                noted.remove(&number);
                            }
                        }
                    }
                    4 => {
                        desk.note(open.iter().copied());
                        noted.clone_from(&open);
                    }
                    5 => {
                        let chat = chat.to_string();
                        let first = desk.chats.get(&chat).and_then(VecDeque::front);
                        if first.is_some_and(|item| item.taken) && !desk.is_first_noted(&chat) {
                            for number in desk.given_back(&chat) {
                                prop_assert!(open.remove(&number) && !noted.contains(&number));
                            }
                        }
                    }
                    _ => desk.acknowledged(desk.offset()),
                }
                let lowest = open.difference(&noted).next().copied();
                prop_assert!(lowest.is_none() || desk.offset() == lowest);
                prop_assert_eq!(desk.waiting(), open.len() - noted.len());
            }
        }
    }
}
