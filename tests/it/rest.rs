//! REST as clients see it: the wire shapes, who may do what, what hanging up does.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_message_is_answered_in_the_shape_that_clients_know() {
    let model = MockModel::start(|request| Reply::say(format!("hello **{}**", request.number)));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    let mut stream = user.open(json!({"message": "hi"})).await;
    assert_eq!(stream.status, 201);
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    assert_eq!(stream.headers["cache-control"], "no-cache");
    assert_eq!(stream.headers["x-accel-buffering"], "no");
    let first = stream.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data), ("status", &json!({"status": "processing"})));
    let events = stream.rest().await;
    let response = events.iter().find(|event| event.name == "response").unwrap();
    assert_eq!(response.data["text"], "hello **1**");
    assert_eq!(response.data["files"], json!([]));
    assert_eq!(events.last().unwrap().name, "done");
    assert_eq!(events.last().unwrap().data, json!({}));
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    assert!(server.stop().success());
}
