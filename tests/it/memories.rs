//! Long-term memory over REST and through the tools.

mod tools;

use serde_json::{Value, json};

use crate::support::*;

fn begin() -> (MockModel, Site, Server, User) {
    let model = MockModel::start(|_| Reply::say("fine"));
    let site = Site::new(&with_model(&model, ""));
    let server = site.start();
    let user = User::new(&server.base, &site.key("ann", "developer"));
    (model, site, server, user)
}

/// Stores a fact and gives its id.
async fn store(user: &User, memory: Value) -> String {
    let (status, body) = user.post("/api/v1/memories", memory).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

fn contents(found: &Value) -> Vec<&str> {
    found["memories"].as_array().unwrap().iter().map(|memory| memory["content"].as_str().unwrap()).collect()
}

/// What a search finds, best first.
async fn search(user: &User, query: &str) -> Vec<String> {
    let found = user.request(reqwest::Method::GET, "/api/v1/memories/search").query(&[("q", query)]);
    let response = found.send().await.unwrap();
    assert_eq!(response.status(), 200, "{query}");
    contents(&response.json().await.unwrap()).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_fact_is_stored_read_changed_and_forgotten() {
    let (_model, site, server, user) = begin();
    let fact = json!({
        "content": "Lives in Lisbon", "category": "personal", "tags": ["home", "city"], "importance": 0.75,
    });
    let (status, made) = user.post("/api/v1/memories", fact).await;
    assert_eq!(status, 201);
    let path = format!("/api/v1/memories/{}", made["id"].as_str().unwrap());
    let expected = json!({
        "id": made["id"], "userId": "ann", "content": "Lives in Lisbon", "category": "personal",
        "tags": ["home", "city"], "importance": 0.75, "uses": 0, "source": "manual",
        "createdAt": made["createdAt"], "updatedAt": made["createdAt"],
    });
    assert_eq!(made, expected);
    assert_eq!(user.look(&path).await, expected);
    assert_eq!(user.look("/api/v1/memories").await, json!({"memories": [expected]}));
    let (status, changed) = user.patch(&path, json!({"content": "Lives in Porto", "importance": 0.9})).await;
    assert_eq!(
        (status.as_u16(), &changed["content"], &changed["importance"]),
        (200, &json!("Lives in Porto"), &json!(0.9))
    );
    assert_eq!((&changed["tags"], &changed["createdAt"]), (&json!(["home", "city"]), &made["createdAt"]));
    assert_eq!(search(&user, "Lisbon").await, Vec::<String>::new(), "old words find nothing");
    assert_eq!(search(&user, "porto").await, ["Lives in Porto"]);
    drop(server);
    let server = site.start();
    let user = User::new(&server.base, &user.key);
    assert_eq!(user.look(&path).await, changed);
    assert_eq!(user.delete(&path).await.0, 204);
    for (status, body) in
        [user.get(&path).await, user.delete(&path).await, user.patch(&path, json!({})).await]
    {
        assert_eq!((status.as_u16(), code_of(&body)), (404, "not_found"));
    }
    assert_eq!(search(&user, "Porto home").await, Vec::<String>::new());
    assert_eq!(site.number("SELECT count(*) FROM memories"), 0);
    assert_eq!(site.number("SELECT count(*) FROM memory_terms"), 0, "no word of it is left in the index");
}

#[tokio::test]
async fn words_are_found_in_other_forms_and_other_scripts() {
    let (_model, _site, _server, user) = begin();
    for content in [
        "She runs every morning along the river",
        "The café in Zürich serves good tea",
        "我喜欢在早上喝绿茶",
        "Пользователь живёт в Берлине",
    ] {
        store(&user, json!({"content": content})).await;
    }
    store(
        &user,
        json!({"content": "Prefers window seats", "tags": ["travelling"], "category": "preference"}),
    )
    .await;
    for (query, begins) in [
        ("running", "She runs"),
        ("MORNINGS?", "She runs"),
        ("cafe zurich", "The café"),
        ("绿茶", "我喜欢"),
        ("берлине", "Пользователь"),
        ("travel", "Prefers"),
        ("preference", "Prefers"),
        ("what does she do in the mornings", "She runs"),
    ] {
        let found = search(&user, query).await;
        assert!(found.first().is_some_and(|first| first.starts_with(begins)), "{query}: {found:?}");
    }
    assert_eq!(search(&user, "submarine").await, Vec::<String>::new());
}

#[tokio::test]
async fn words_of_the_query_language_are_only_words() {
    let (_model, _site, _server, user) = begin();
    store(&user, json!({"content": "The near miss OR the not so near one"})).await;
    for query in
        ["near*", "NEAR(", "content:near", "a OR near", "near AND", "-near", "^near", "near\0", "'; DROP"]
    {
        let found = search(&user, query).await;
        let meant = query.to_lowercase().contains("near");
        assert_eq!(found.len(), usize::from(meant), "{query}: {found:?}");
    }
    assert_eq!(search(&user, "\"?!").await.len(), 1, "a query without words finds the newest");
}

#[tokio::test]
async fn the_best_fit_comes_first_and_importance_decides_between_equals() {
    let (_model, _site, _server, user) = begin();
    store(&user, json!({"content": "The garden has a green gate", "importance": 0.2})).await;
    store(&user, json!({"content": "The garden has a green hedge", "importance": 0.9})).await;
    store(&user, json!({"content": "Green is a colour", "importance": 1.0})).await;
    store(&user, json!({"content": "The kettle is in the kitchen", "importance": 1.0})).await;
    let found = search(&user, "green garden").await;
    assert_eq!(found, ["The garden has a green hedge", "The garden has a green gate", "Green is a colour"]);
    let one = user.look("/api/v1/memories/search?q=green+garden&limit=1").await;
    assert_eq!(contents(&one), ["The garden has a green hedge"]);
}

#[tokio::test]
async fn a_fact_that_is_known_is_merged_and_one_that_differs_is_not() {
    let (_model, site, _server, user) = begin();
    let first =
        store(&user, json!({"content": "The dog is called Rex", "tags": ["dog"], "importance": 0.8})).await;
    let second = json!({"content": "the DOG was called: rex!", "tags": ["pet"], "importance": 0.3});
    assert_eq!(store(&user, second).await, first);
    let merged = user.look(&format!("/api/v1/memories/{first}")).await;
    assert_eq!((&merged["tags"], &merged["importance"]), (&json!(["dog", "pet"]), &json!(0.8)));
    assert_eq!(
        store(&user, json!({"content": "我喜欢在早上喝绿茶,不喜欢咖啡"})).await,
        store(&user, json!({"content": "我喜欢在早上喝绿茶，不喜欢咖啡。"})).await
    );
    for other in ["The dog is called Max", "The dog is not called Rex", "The cat is called Rex"] {
        assert_ne!(store(&user, json!({"content": other})).await, first, "{other}");
    }
    for _ in 0..20 {
        assert_eq!(store(&user, json!({"content": "The dog is called Rex"})).await, first);
    }
    assert_eq!(site.number("SELECT count(*) FROM memories"), 5);
}

#[tokio::test]
async fn facts_are_listed_newest_first_by_page_and_category() {
    let (_model, _site, _server, user) = begin();
    for (at, word) in ["apple", "bread", "cheese", "date", "egg"].iter().enumerate() {
        let category = if at % 2 == 0 { "food" } else { "other" };
        store(&user, json!({"content": format!("Likes {word}"), "category": category})).await;
    }
    let list = async |query: &str| user.look(&format!("/api/v1/memories{query}")).await;
    let all = ["Likes egg", "Likes date", "Likes cheese", "Likes bread", "Likes apple"];
    assert_eq!(contents(&list("").await), all);
    assert_eq!(contents(&list("?limit=2").await), all[..2]);
    assert_eq!(contents(&list("?limit=2&offset=2").await), all[2..4]);
    assert_eq!(contents(&list("?offset=18446744073709551615").await), Vec::<&str>::new());
    assert_eq!(contents(&list("?category=food").await), ["Likes egg", "Likes cheese", "Likes apple"]);
    assert_eq!(contents(&list("?limit=0").await), Vec::<&str>::new());
}

#[tokio::test]
async fn facts_are_seen_by_their_user_only() {
    let (_model, site, server, ann) = begin();
    let bob = User::new(&server.base, &site.key("bob", "developer"));
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let id = store(&ann, json!({"content": "Ann's secret is a boat"})).await;
    let path = format!("/api/v1/memories/{id}");
    assert_eq!(search(&bob, "secret boat").await, Vec::<String>::new());
    assert_eq!(search(&owner, "secret boat").await, Vec::<String>::new(), "unasked, an owner sees their own");
    for (status, body) in
        [bob.get(&path).await, bob.patch(&path, json!({"content": "x"})).await, bob.delete(&path).await]
    {
        assert_eq!((status.as_u16(), code_of(&body)), (404, "not_found"));
    }
    let same = store(&bob, json!({"content": "Ann's secret is a boat"})).await;
    assert_ne!(same, id, "the same words of two users are two facts");
    let of_ann = owner.look("/api/v1/memories/search?q=boat&userId=ann").await;
    assert_eq!((of_ann["memories"].as_array().unwrap().len(), &of_ann["memories"][0]["id"]), (1, &json!(id)));
    let made = owner.post("/api/v1/memories", json!({"content": "Ann has a car", "userId": "ann"})).await.1;
    assert_eq!(made["userId"], "ann");
    assert_eq!(search(&ann, "car").await, ["Ann has a car"]);
}

#[tokio::test]
async fn what_is_no_fact_is_refused() {
    let (_model, site, _server, user) = begin();
    let id = store(&user, json!({"content": "Likes tea"})).await;
    let before = user.look("/api/v1/memories").await;
    let many: Vec<String> = (0..21).map(|at| format!("t{at}")).collect();
    for change in [
        json!({"content": " \n"}),
        json!({"content": "x".repeat(8_001)}),
        json!({"content": "x", "importance": 1.1}),
        json!({"content": "x", "importance": -0.1}),
        json!({"content": "x", "category": "two words"}),
        json!({"content": "x", "category": ""}),
        json!({"content": "x", "tags": many}),
        json!({"content": "x", "tags": [""]}),
        json!({"content": "x", "tags": "one"}),
        json!({"content": "x", "colour": "red"}),
        json!({"content": 7}),
    ] {
        let (status, body) = user.post("/api/v1/memories", change.clone()).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{change}");
        let (status, _) = user.patch(&format!("/api/v1/memories/{id}"), change.clone()).await;
        assert_eq!(status, 400, "{change}");
    }
    for query in ["/search", "/search?q=x&limit=-1", "/search?q=x&sort=up", "?offset=x"] {
        let (status, body) = user.get(&format!("/api/v1/memories{query}")).await;
        assert_eq!((status.as_u16(), code_of(&body)), (400, "bad_request"), "{query}");
    }
    assert_eq!(user.look("/api/v1/memories").await, before);
    assert_eq!(site.number("SELECT count(*) FROM memories"), 1);
    let longest = json!({"content": "语".repeat(8_000)});
    store(&user, longest).await;
}
