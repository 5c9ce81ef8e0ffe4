//! The wire and the accounting: by tables, and against a second implementation over random steps.

use proptest::prelude::*;

use super::super::frame::{
    Decoder, Fault, Frame, HEADER, LARGEST_DATA, MOST_STREAMS, Message, TerminalSpec, VERSION, WINDOW, encode,
};
use super::{Event, State, Violation};

fn frame(stream: u32, message: Message) -> Frame {
    Frame { stream, message }
}

fn hello() -> Frame {
    frame(0, Message::Hello { version: VERSION, port: 3128 })
}

fn greeted() -> State {
    let mut state = State::default();
    assert_eq!(state.receive(hello()), Ok(Some(Event::Ready(3128))));
    state
}

fn data(bytes: usize) -> Message {
    Message::Data(vec![7; bytes])
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..100).prop_map(Message::Open),
        proptest::collection::vec(any::<u8>(), 1..300).prop_map(Message::Data),
        Just(Message::End),
        "\\PC{0,40}".prop_map(Message::Reset),
        any::<u32>().prop_map(Message::Credit),
        (any::<u16>(), any::<u16>()).prop_map(|(rows, cols)| Message::Resize { rows, cols }),
        any::<i32>().prop_map(Message::Exit),
    ]
}

#[test]
fn bytes_that_are_no_frame_are_refused_by_their_head_alone() {
    let head = |stream: u32, kind: u8, length: u32| {
        let mut bytes = stream.to_be_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_be_bytes());
        Decoder::default().push(&bytes)
    };
    assert_eq!(head(1, 9, 0), Err(Fault::Kind(9)));
    assert_eq!(head(1, 2, 0), Err(Fault::Length(2, 0)));
    assert_eq!(head(1, 2, LARGEST_DATA as u32 + 1), Err(Fault::Length(2, LARGEST_DATA as u32 + 1)));
    assert_eq!(head(1, 2, u32::MAX), Err(Fault::Length(2, u32::MAX)));
    assert_eq!(head(0, 2, 1), Err(Fault::Stream(2, 0)));
    assert_eq!(head(1, 0, 3), Err(Fault::Stream(0, 1)));
    assert_eq!(head(1, 2, 4), Ok(Vec::new()));
    assert!(Decoder::default().push(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
}

#[test]
fn a_terminal_says_what_it_is_to_be() {
    let spec = TerminalSpec {
        rows: 24,
        cols: 80,
        folder: "/workspace".into(),
        argv: vec!["bash".into(), "-lc".into(), "echo ä".into()],
    };
    assert_eq!(TerminalSpec::decode(&spec.encode().unwrap()), Some(spec.clone()));
    let shell = TerminalSpec { argv: Vec::new(), ..spec.clone() };
    assert_eq!(TerminalSpec::decode(&shell.encode().unwrap()), Some(shell));
    assert_eq!(TerminalSpec { argv: vec!["a\0b".into()], ..spec.clone() }.encode(), None);
    assert_eq!(TerminalSpec { folder: "x".repeat(9000), ..spec }.encode(), None);
    assert_eq!(TerminalSpec::decode(b"abc"), None);
}

#[test]
fn the_relay_may_say_only_what_is_its_to_say() {
    let cases: Vec<(Vec<Frame>, Violation)> = vec![
        (vec![frame(1, Message::Open(vec![]))], Violation::Greeting),
        (vec![hello(), hello()], Violation::Greeting),
        (vec![frame(0, Message::Hello { version: 9, port: 1 })], Violation::Version(9)),
        (vec![hello(), frame(2, Message::Open(vec![]))], Violation::Opened(2)),
        (vec![hello(), frame(1, Message::Open(vec![1]))], Violation::Opened(1)),
        (
            vec![hello(), frame(3, Message::Open(vec![])), frame(1, Message::Open(vec![]))],
            Violation::Opened(1),
        ),
        (vec![hello(), frame(1, data(1))], Violation::Unknown(1)),
        (vec![hello(), frame(2, Message::Exit(0))], Violation::Unknown(2)),
        (
            vec![hello(), frame(1, Message::Open(vec![])), frame(1, Message::End), frame(1, data(1))],
            Violation::TooMuch(1),
        ),
        (vec![hello(), frame(1, Message::Open(vec![])), frame(1, Message::Credit(1))], Violation::TooMuch(1)),
        (vec![hello(), frame(1, Message::Open(vec![])), frame(1, Message::Exit(1))], Violation::NotTheirs(1)),
        (
            vec![hello(), frame(1, Message::Open(vec![])), frame(1, Message::Resize { rows: 1, cols: 1 })],
            Violation::NotTheirs(1),
        ),
    ];
    for (frames, expected) in cases {
        let mut state = State::default();
        let last = frames.into_iter().map(|frame| state.receive(frame)).last().unwrap();
        assert_eq!(last, Err(expected));
    }
}

#[test]
fn a_window_is_kept_to_the_last_byte_and_grows_again_when_it_is_read() {
    let mut state = greeted();
    state.receive(frame(1, Message::Open(vec![]))).unwrap();
    let full = WINDOW as usize / LARGEST_DATA;
    for _ in 0..full {
        assert!(state.receive(frame(1, data(LARGEST_DATA))).is_ok());
    }
    assert_eq!(state.taken(1, WINDOW as usize / 2 - 1), None);
    assert_eq!(state.taken(1, 1), Some(WINDOW / 2));
    for _ in 0..full / 2 {
        assert!(state.receive(frame(1, data(LARGEST_DATA))).is_ok());
    }
    assert_eq!(state.receive(frame(1, data(1))), Err(Violation::TooMuch(1)));
}

#[test]
fn streams_are_forgotten_when_both_sides_are_done_and_are_not_without_number() {
    let mut state = greeted();
    for at in 0..MOST_STREAMS as u32 {
        state.receive(frame(at * 2 + 1, Message::Open(vec![]))).unwrap();
    }
    let next = MOST_STREAMS as u32 * 2 + 1;
    assert_eq!(state.open(), None);
    assert_eq!(state.receive(frame(next, Message::Open(vec![]))), Err(Violation::Opened(next)));
    assert!(state.end(1) && !state.end(1));
    assert_eq!(state.receive(frame(1, Message::End)), Ok(Some(Event::Ended(1))));
    assert_eq!(state.open_streams(), MOST_STREAMS - 1);
    assert_eq!(state.receive(frame(1, Message::End)), Ok(None), "what was on its way is let go");
    assert!(state.reset(3) && !state.reset(3));
    assert_eq!(state.receive(frame(3, data(5))), Ok(None));
    assert_eq!(state.open(), Some(2));
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(
        messages in proptest::collection::vec((1u32.., message()), 0..8), size in 1usize..50,
    ) {
        let mut frames = vec![hello()];
        frames.extend(messages.into_iter().map(|(stream, message)| frame(stream, message)));
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| encode(frame, &mut bytes));
        prop_assert!(bytes.len() >= frames.len() * HEADER);
        let mut decoder = Decoder::default();
        let read: Vec<Frame> = bytes.chunks(size).flat_map(|chunk| decoder.push(chunk).unwrap()).collect();
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn no_bytes_upset_the_accounting(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut state = greeted();
        if let Ok(frames) = Decoder::default().push(&bytes) {
            for frame in frames {
                let _ = state.receive(frame);
            }
        }
        prop_assert!(state.open_streams() <= MOST_STREAMS);
    }

    /// A sender that keeps to its credit is never refused, and a reader that reads is never starved.
    #[test]
    fn credit_is_neither_lost_nor_made(steps in proptest::collection::vec((any::<bool>(), 1usize..=LARGEST_DATA), 1..300)) {
        let mut state = greeted();
        state.receive(frame(1, Message::Open(vec![]))).unwrap();
        let (mut credit, mut unread) = (WINDOW as usize, 0);
        for (sends, bytes) in steps {
            if sends && credit > 0 {
                let bytes = bytes.min(credit);
                prop_assert!(state.receive(frame(1, data(bytes))).is_ok());
                (credit, unread) = (credit - bytes, unread + bytes);
            } else {
                let bytes = bytes.min(unread);
                credit += state.taken(1, bytes).unwrap_or_default() as usize;
                unread -= bytes;
            }
            prop_assert!(credit + unread <= WINDOW as usize);
            prop_assert!(unread > 0 || credit > WINDOW as usize / 2, "a reader that has read all waits in vain");
        }
    }
}
