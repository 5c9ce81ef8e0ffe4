//! A durable turn against the bare model call that it contains, at 1, 8 and 64 users.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use atoll::{
    config::Provider,
    domain::{message::Message, model::ModelRequest, price::Prices},
    ports::files::Files,
};

use super::{raw::Connection, stats::Times};
use crate::support::{MockModel, Site, with_model};

const WARM_UP: Duration = Duration::from_secs(2);
const MEASURE: Duration = Duration::from_secs(8);

pub(crate) fn latency_and_throughput() {
    let model = MockModel::instant("All is well.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut bare = runtime.block_on(bare_calls(&model));
    println!("bare model call, one at a time: {}", bare.show());
    let bare_p50 = bare.quantile(0.5);
    for users in [1, 8, 64] {
        let site = Site::new(&with_model(&model, "log: {level: warn}"));
        let server = site.start();
        let key = site.key("bench", "owner");
        let (mut times, failed, took) = runtime.block_on(drive(&server.base, &key, users));
        println!(
            "durable turn, {users:>2} users: {}; {:.0} turns/s; {:.1} times the bare call; {failed} failed",
            times.show(),
            times.len() as f64 / took.as_secs_f64(),
            times.quantile(0.5) / bare_p50,
        );
    }
}

/// The same request through the same codec and client, without anything around it.
async fn bare_calls(model: &MockModel) -> Times {
    atoll::net::install_tls();
    let provider = Provider {
        base_url: Some(model.openai()),
        model: Some("mock".into()),
        ..Provider::of("openai-compatible")
    };
    let clients = atoll::net::Clients::default();
    let files: Arc<dyn Files> = Arc::new(NoFiles);
    let models = atoll::llm::build(&[provider], &Prices::default(), &clients, &files).unwrap();
    let request = Arc::new(ModelRequest {
        system: "You are a friend.".into(),
        messages: vec![Arc::new(Message::user("what is new?"))],
        tools: vec![],
        max_tokens: None,
    });
    let mut times = Times::default();
    for run in 0..3_000 {
        let began = Instant::now();
        models[0].ask(Arc::clone(&request), Arc::new(|_| {})).await.unwrap();
        if run >= 500 {
            times.add(began.elapsed());
        }
    }
    times
}

/// Users who each ask again as soon as they are answered.
async fn drive(base: &str, key: &str, users: usize) -> (Times, usize, Duration) {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..users)
        .map(|user| {
            let (base, key) = (base.to_owned(), key.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(&base, &key).await.unwrap();
                let body = format!("{{\"message\": \"what is new?\", \"userId\": \"u{user}\"}}");
                let (mut times, mut failed) = (Times::default(), 0);
                while begin.elapsed() < WARM_UP + MEASURE {
                    let began = Instant::now();
                    let ok = connection.post("/api/chat", &body).await.unwrap_or(false);
                    if !ok {
                        failed += 1;
                    } else if begin.elapsed() > WARM_UP {
                        times.add(began.elapsed());
                    }
                }
                (times, failed)
            })
        })
        .collect();
    let (mut all, mut failures) = (Times::default(), 0);
    for task in tasks {
        let (times, failed) = task.await.unwrap();
        all.extend(times);
        failures += failed;
    }
    (all, failures, MEASURE)
}

struct NoFiles;

impl Files for NoFiles {
    fn put(
        &self,
        _: String,
        _: String,
        _: bytes::Bytes,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<atoll::domain::message::FileRef>> {
        Box::pin(std::future::ready(Err(std::io::Error::other("no files"))))
    }

    fn read(
        &self,
        _: &atoll::domain::ids::FileId,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<bytes::Bytes>> {
        Box::pin(std::future::ready(Err(std::io::Error::other("no files"))))
    }

    fn keep(
        &self,
        _: String,
        _: String,
        _: atoll::ports::files::Pieces,
        _: u64,
    ) -> futures_util::future::BoxFuture<
        'static,
        Result<atoll::domain::message::FileRef, atoll::ports::files::KeepError>,
    > {
        Box::pin(std::future::ready(Err(std::io::Error::other("no files").into())))
    }

    fn open(
        &self,
        _: &atoll::domain::ids::FileId,
    ) -> futures_util::future::BoxFuture<'static, std::io::Result<atoll::ports::files::OpenFile>> {
        Box::pin(std::future::ready(Err(std::io::Error::other("no files"))))
    }
}
