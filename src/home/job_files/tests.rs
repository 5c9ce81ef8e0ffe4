//! Logs and artefacts of jobs: order, bounds, restarts and what a crash leaves.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::*;
use crate::ports::job_files::LogLine;

const MIB: u64 = 1024 * 1024;

fn begin(log_bytes: u64) -> (TempDir, HomeJobFiles) {
    let folder = tempfile::tempdir().unwrap();
    let files = HomeJobFiles::start(folder.path().join("jobs"), log_bytes).unwrap();
    (folder, files)
}

fn again(folder: &TempDir, log_bytes: u64) -> HomeJobFiles {
    HomeJobFiles::start(folder.path().join("jobs"), log_bytes).unwrap()
}

fn job() -> JobId {
    JobId::new("j1")
}

fn note(text: impl Into<String>) -> LogEvent {
    LogEvent::Note { text: text.into() }
}

fn texts(page: &LogPage) -> Vec<&str> {
    fn text(line: &LogLine) -> &str {
        match &line.event {
            LogEvent::Note { text } => text,
            other => panic!("{other:?}"),
        }
    }
    page.lines.iter().map(text).collect()
}

fn segments(folder: &TempDir) -> Vec<std::path::PathBuf> {
    let log = folder.path().join("jobs/j1/log");
    let mut list: Vec<_> = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    list.sort();
    list
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn lines_are_read_in_order_from_any_place_on() {
    let (_folder, files) = begin(MIB);
    assert_eq!(files.read(&job(), 0, 10).await.unwrap(), LogPage::default(), "nothing is there yet");
    for number in 0..100 {
        files.log(&job(), number, note(number.to_string()));
        files.log(&JobId::new("other"), number, note("not ours"));
    }
    files.settle().await;
    let page = files.read(&job(), 0, 3).await.unwrap();
    assert_eq!((texts(&page), page.next), (vec!["0", "1", "2"], 3));
    let page = files.read(&job(), page.next, 1_000).await.unwrap();
    assert_eq!((page.lines.len(), page.next), (97, 100));
    let line = &page.lines[42];
    assert_eq!((line.seq, line.at, &line.event), (45, 45, &note("45")));
    assert_eq!(files.read(&job(), 100, 10).await.unwrap(), LogPage { lines: vec![], next: 100 });
}

#[tokio::test]
async fn whoever_watches_is_told_of_each_line_that_can_be_read() {
    let (_folder, files) = begin(MIB);
    let mut watch = files.watch(&job());
    files.log(&job(), 1, note("first"));
    watch.changed().await.unwrap();
    assert_eq!(*watch.borrow_and_update(), 1);
    assert_eq!(texts(&files.read(&job(), 0, 10).await.unwrap()), ["first"]);
    // Others come and go, and this one is not forgotten.
    for other in 0..10 {
        drop(files.watch(&JobId::new(format!("o{other}"))));
    }
    files.log(&job(), 2, note("second"));
    watch.changed().await.unwrap();
    assert_eq!(*watch.borrow_and_update(), 2);
}

#[tokio::test]
async fn after_a_restart_numbers_go_on() {
    let (folder, files) = begin(MIB);
    for number in 0..5 {
        files.log(&job(), number, note(number.to_string()));
    }
    files.settle().await;
    drop(files);
    let files = again(&folder, MIB);
    files.log(&job(), 5, note("5"));
    files.settle().await;
    let page = files.read(&job(), 0, 100).await.unwrap();
    assert_eq!(texts(&page), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(page.lines.last().unwrap().seq, 5);
}

#[tokio::test]
async fn a_line_that_was_not_written_to_its_end_is_dropped() {
    let (folder, files) = begin(MIB);
    files.log(&job(), 0, note("whole"));
    files.log(&job(), 1, note("torn"));
    files.settle().await;
    drop(files);
    let path = segments(&folder).remove(0);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size(&path) - 3).unwrap();
    let files = again(&folder, MIB);
    assert_eq!(texts(&files.read(&job(), 0, 9).await.unwrap()), ["whole"], "also before it is written again");
    files.log(&job(), 2, note("after"));
    files.settle().await;
    let page = files.read(&job(), 0, 9).await.unwrap();
    assert_eq!(texts(&page), ["whole", "after"]);
    assert_eq!(page.lines[1].seq, 1);
}

#[tokio::test]
async fn ten_mebibytes_of_output_are_kept_in_one_and_the_newest_are_there() {
    let (folder, files) = begin(MIB);
    let text = "x".repeat(1_000);
    for number in 0..10_486 {
        files.log(&job(), number, note(format!("{number} {text}")));
    }
    files.settle().await;
    let kept: u64 = segments(&folder).iter().map(|path| size(path)).sum();
    assert!(kept <= MIB && kept > MIB * 3 / 4, "{kept} bytes in {} segments", segments(&folder).len());
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let page = files.read(&job(), from, 100).await.unwrap();
        if page.lines.is_empty() {
            break;
        }
        seen.extend(page.lines.iter().map(|line| (line.seq, line.at)));
        from = page.next;
    }
    assert_eq!(from, 10_486);
    assert!(seen[0].0 > 9_000, "the first that is left is {}", seen[0].0);
    let in_order = (seen[0].0..10_486).map(|seq| (seq, i64::try_from(seq).unwrap()));
    assert_eq!(seen, in_order.collect::<Vec<_>>(), "no gap, none twice");
    // A restart finds the same bound and the next number.
    drop(files);
    let files = again(&folder, MIB);
    files.log(&job(), 0, note("x".repeat(2_000_000)));
    files.settle().await;
    let page = files.read(&job(), 10_486, 10).await.unwrap();
    assert!(texts(&page)[0].contains("bytes cut)") && page.lines[0].seq == 10_486);
    assert!(segments(&folder).iter().map(|path| size(path)).sum::<u64>() <= MIB);
}

#[tokio::test]
async fn more_than_can_wait_is_lost_and_the_log_says_how_much() {
    let (_folder, files) = begin(64 * MIB);
    // The thread cannot keep up with a queue that is told to be full.
    assert!(files.shared.admit(&job(), 32 * 1024 * 1024));
    files.log(&job(), 0, note("lost"));
    files.log(&job(), 0, note("lost"));
    let full = vec![b' '; 32 * 1024 * 1024];
    // Gives the room back: a line that is no JSON is passed over by readers.
    files.queue.send(Item::Line { job: JobId::new("o"), at: 0, event: full }).unwrap();
    files.settle().await;
    files.log(&job(), 1, note("after"));
    files.settle().await;
    let page = files.read(&job(), 0, 10).await.unwrap();
    assert_eq!(texts(&page), ["2 lines could not be written and are lost", "after"]);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_holds_up_no_other() {
    let (folder, files) = begin(MIB);
    fs::create_dir_all(folder.path().join("jobs")).unwrap();
    fs::write(folder.path().join("jobs/j1"), "no folder").unwrap();
    files.log(&job(), 0, note("lost"));
    files.log(&JobId::new("j2"), 0, note("kept"));
    files.settle().await;
    assert_eq!(texts(&files.read(&JobId::new("j2"), 0, 10).await.unwrap()), ["kept"]);
    fs::remove_file(folder.path().join("jobs/j1")).unwrap();
    files.log(&job(), 1, note("again"));
    files.settle().await;
    let page = files.read(&job(), 0, 10).await.unwrap();
    assert_eq!(texts(&page), ["1 lines could not be written and are lost", "again"]);
}

#[tokio::test]
async fn a_hundred_logs_at_once_are_all_whole() {
    let (_folder, files) = begin(MIB);
    for round in 0..5 {
        for number in 0..100 {
            files.log(&JobId::new(format!("j{number}")), round, note(round.to_string()));
        }
    }
    files.settle().await;
    for number in 0..100 {
        let page = files.read(&JobId::new(format!("j{number}")), 0, 10).await.unwrap();
        assert_eq!(texts(&page), ["0", "1", "2", "3", "4"], "j{number}");
    }
}

#[tokio::test]
async fn names_from_outside_never_leave_their_folder() {
    let (folder, files) = begin(MIB);
    fs::create_dir_all(folder.path().join("jobs")).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    for bad in ["..", "../x", "a/b", "", ".", "a\0b", "ä", &"x".repeat(65)] {
        let id = JobId::new(bad);
        assert!(files.read(&id, 0, 1).await.is_err(), "{bad}");
        assert!(files.artefacts(&id).await.is_err(), "{bad}");
        assert!(files.keep(&id, "a", Bytes::new()).await.is_err(), "{bad}");
        files.log(&id, 0, note("x"));
    }
    files.settle().await;
    for bad in ["..", "../../../secret", "a/b", "", ".hidden", "a\0b", "ä", "a b", &"x".repeat(65)] {
        assert_eq!(files.artefact(&job(), bad).await.unwrap(), None, "{bad}");
        assert!(files.keep(&job(), bad, Bytes::from_static(b"x")).await.is_err(), "{bad}");
    }
    let left: Vec<_> = fs::read_dir(folder.path().join("jobs")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn artefacts_are_kept_replaced_and_listed_by_name() {
    let (folder, files) = begin(MIB);
    assert_eq!(files.artefacts(&job()).await.unwrap(), []);
    assert_eq!(files.artefact(&job(), "diff.patch").await.unwrap(), None);
    for (name, text) in [("verify-1.txt", "ok"), ("diff.patch", "old"), ("diff.patch", "newer")] {
        files.keep(&job(), name, Bytes::from_static(text.as_bytes())).await.unwrap();
    }
    // What a crash left beside is no artefact.
    fs::write(folder.path().join("jobs/j1/artefacts/.diff.patch.9"), "half").unwrap();
    let listed = files.artefacts(&job()).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|one| (one.name.as_str(), one.bytes)).collect();
    assert_eq!(listed, [("diff.patch", 5), ("verify-1.txt", 2)]);
    assert_eq!(files.artefact(&job(), "diff.patch").await.unwrap().unwrap(), "newer");
}
