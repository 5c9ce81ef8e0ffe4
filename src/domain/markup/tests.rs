//! What each element becomes, and what once went wrong.

use super::{strict::visible, *};

fn telegram(text: &str) -> String {
    let parts = parts(text, Flavor::Telegram);
    let markup: Vec<_> = parts.into_iter().map(|part| part.markup).collect();
    markup.join("\n=====\n")
}

fn discord(text: &str) -> String {
    let parts = parts(text, Flavor::Discord);
    let markup: Vec<_> = parts.into_iter().map(|part| part.markup).collect();
    markup.join("\n=====\n")
}

fn plain(text: &str) -> String {
    let parts = parts(text, Flavor::Plain);
    assert!(parts.len() <= 1 && parts.iter().all(|part| part.markup == part.plain));
    parts.into_iter().map(|part| part.plain).collect()
}

/// Source, Telegram, Discord, plain.
const TABLE: &[[&str; 4]] = &[
    ["hello", "hello", "hello", "hello"],
    [
        "**b** *i* ~~s~~ `c`",
        "<b>b</b> <i>i</i> <s>s</s> <code>c</code>",
        "**b** *i* ~~s~~ `c`",
        "b i ~~s~~ `c`",
    ],
    ["***both***", "<i><b>both</b></i>", "***both***", "both"],
    ["**a***b*", "<b>a</b><i>b</i>", "**a**\u{200b}*b*", "ab"],
    ["**a *b* c**", "<b>a <i>b</i> c</b>", "**a *b* c**", "a b c"],
    [
        "a < b && c > d \"q\"",
        "a &lt; b &amp;&amp; c &gt; d &quot;q&quot;",
        "a < b && c > d \"q\"",
        "a < b && c > d \"q\"",
    ],
    ["see <a b>", "see &lt;a b&gt;", "see <a b>", "see <a b>"],
    [
        "<script>alert(1)</script>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<script>alert(1)</script>",
        "<script>alert(1)</script>",
    ],
    ["<b>bold?</b>", "&lt;b&gt;bold?&lt;/b&gt;", "<b>bold?</b>", "<b>bold?</b>"],
    [
        "call __init__ and __x.y__",
        "call __init__ and <b>x.y</b>",
        "call \\_\\_init\\_\\_ and **x.y**",
        "call __init__ and x.y",
    ],
    [
        "__init__.py, snake_case_name",
        "__init__.py, snake_case_name",
        "\\_\\_init\\_\\_.py, snake\\_case\\_name",
        "__init__.py, snake_case_name",
    ],
    ["`**x** <b>`", "<code>**x** &lt;b&gt;</code>", "`**x** <b>`", "`**x** <b>`"],
    ["**a `b` c**", "<b>a </b><code>b</code><b> c</b>", "**a `b` c**", "a `b` c"],
    ["**open", "**open", "\\*\\*open", "**open"],
    ["2 * 3 * 4", "2 * 3 * 4", "2 \\* 3 \\* 4", "2 * 3 * 4"],
    ["``a ` b``", "<code>a ` b</code>", "``a ` b``", "``a ` b``"],
    [
        "# One\n## Two\n#### Four\ntext",
        "<b>One</b>\n\n<b>Two</b>\n\n<b>Four</b>\n\ntext",
        "# One\n\n## Two\n\n**Four**\n\ntext",
        "One\n\nTwo\n\nFour\n\ntext",
    ],
    ["# **Bold** one", "<b>Bold one</b>", "# **Bold** one", "Bold one"],
    ["one\ntwo\n\nthree", "one\ntwo\n\nthree", "one\ntwo\n\nthree", "one\ntwo\n\nthree"],
    [
        "- a\n- b\n  - c\n    - d\n- e",
        "• a\n• b\n  • c\n    • d\n• e",
        "- a\n- b\n  - c\n    - d\n- e",
        "- a\n- b\n  - c\n    - d\n- e",
    ],
    [
        "3. a\n4. b\n   - c\n\nend",
        "3. a\n4. b\n   • c\n\nend",
        "3. a\n4. b\n   - c\n\nend",
        "3. a\n4. b\n   - c\n\nend",
    ],
    ["- a\n\n  more\n\n- b", "• a\n\n  more\n\n• b", "- a\n\n  more\n\n- b", "- a\n\n  more\n\n- b"],
    ["- [ ] a\n- [x] b", "• ☐ a\n• ☑ b", "- ☐ a\n- ☑ b", "- ☐ a\n- ☑ b"],
    [
        "- a\n  ```sh\n  ls\n  ```\n- b",
        "• a\n<pre><code class=\"language-sh\">ls</code></pre>\n\n• b",
        "- a\n```sh\nls\n```\n\n- b",
        "- a\n```sh\nls\n```\n\n- b",
    ],
    ["> a\n> b\n\nc", "<blockquote>a\nb</blockquote>\n\nc", "> a\n> b\n\nc", "> a\n> b\n\nc"],
    ["> a\n>\n> > b", "<blockquote>a\n\n&gt; b</blockquote>", "> a\n> \n> > b", "> a\n> \n> > b"],
    ["> **a\n> b**", "<blockquote><b>a</b>\n<b>b</b></blockquote>", "> **a**\n> **b**", "> a\n> b"],
    [
        "> ```\n> x\n> y\n> ```\nz",
        "<blockquote><pre>x\ny</pre></blockquote>\n\nz",
        "> ```\n> x\n> y\n> ```\n\nz",
        "```\nx\ny\n```\n\nz",
    ],
    ["a\n\n---\n\nb", "a\n\n———\n\nb", "a\n\n———\n\nb", "a\n\n———\n\nb"],
    [
        "```rust\nlet a = \"<b>\";\n\n    x();\n```",
        "<pre><code class=\"language-rust\">let a = &quot;&lt;b&gt;&quot;;\n\n    x();</code></pre>",
        "```rust\nlet a = \"<b>\";\n\n    x();\n```",
        "```rust\nlet a = \"<b>\";\n\n    x();\n```",
    ],
    ["```\nx\n```", "<pre>x</pre>", "```\nx\n```", "```\nx\n```"],
    [
        "```js title=\"a.js\"\nx\n```",
        "js title=&quot;a.js&quot;\n<pre><code class=\"language-js\">x</code></pre>",
        "js title=\"a.js\"\n```js\nx\n```",
        "js title=\"a.js\"\n```js\nx\n```",
    ],
    [
        "````\n```\nx\n```\n````",
        "<pre>```\nx\n```</pre>",
        "```\n``\u{200b}`\nx\n``\u{200b}`\u{200b}\n```",
        "````\n```\nx\n```\n````",
    ],
    [
        "[a](https://x.y/?q=\"1\"&r=2 \"t\")",
        "<a href=\"https://x.y/?q=&quot;1&quot;&amp;r=2\">a</a> (t)",
        "[a](https://x.y/?q=\"1\"&r=2) (t)",
        "a (https://x.y/?q=\"1\"&r=2) (t)",
    ],
    [
        "[a](javascript:alert(1)) [b](c/d.md)",
        "a (javascript:alert(1)) b (c/d.md)",
        "a (javascript:alert(1)) b (c/d.md)",
        "a (javascript:alert(1)) b (c/d.md)",
    ],
    [
        "[**a** `b`](https://x.y/(z))",
        "<a href=\"https://x.y/(z)\"><b>a</b> b</a>",
        "[**a** `b`](https://x.y/%28z%29)",
        "a `b` (https://x.y/(z))",
    ],
    [
        "[a_b](tg://user?id=1) <m@x.y>",
        "<a href=\"tg://user?id=1\">a_b</a> <a href=\"mailto:m@x.y\">m@x.y</a>",
        "a\\_b (tg://user?id=1) m@x.y",
        "a_b (tg://user?id=1) m@x.y",
    ],
    [
        "<https://x.y/a_b>",
        "<a href=\"https://x.y/a_b\">https://x.y/a_b</a>",
        "https://x.y/a_b",
        "https://x.y/a_b",
    ],
    [
        "[https://good.x](https://bad.x)",
        "<a href=\"https://bad.x\">https://good.x</a>",
        "https://good.x (https://bad.x)",
        "https://good.x (https://bad.x)",
    ],
    [
        "https://x.y/a_b_c and a_b_",
        "https://x.y/a_b_c and a_b_",
        "https://x.y/a_b_c and a\\_b\\_",
        "https://x.y/a_b_c and a_b_",
    ],
    [
        "![cat](https://x.y/c.png)",
        "<a href=\"https://x.y/c.png\">cat</a>",
        "[cat](https://x.y/c.png)",
        "cat (https://x.y/c.png)",
    ],
    [
        "[![i](https://i.x)](https://o.x)",
        "<a href=\"https://o.x\">i (https://i.x)</a>",
        "i (https://i.x) (https://o.x)",
        "i (https://i.x) (https://o.x)",
    ],
    ["[](https://x.y)", "<a href=\"https://x.y\">https://x.y</a>", "https://x.y", "https://x.y"],
    [
        "see [a][1]\n\n[1]: https://x.y",
        "see <a href=\"https://x.y\">a</a>\n\n[1]: https://x.y",
        "see [a](https://x.y)\n\n\\[1]: https://x.y",
        "see a (https://x.y)\n\n[1]: https://x.y",
    ],
    [
        "[u]: https://x.y \"t\"",
        "[u]: https://x.y &quot;t&quot;",
        "\\[u]: https://x.y \"t\"",
        "[u]: https://x.y \"t\"",
    ],
    [
        "| a | b |\n|---|--:|\n| **x** | 10 |\n| 日本 | [l](https://x.y) |",
        "<pre>a    │               b\n─────┼────────────────\nx    │              10\n日本 │ l (https://x.y)</pre>",
        "```\na    │               b\n─────┼────────────────\nx    │              10\n日本 │ l (https://x.y)\n```",
        "```\na    │               b\n─────┼────────────────\nx    │              10\n日本 │ l (https://x.y)\n```",
    ],
    [
        "@everyone <@1> <@&2> <#3> <:e:4> @here",
        "@everyone &lt;@1&gt; &lt;@&amp;2&gt; &lt;#3&gt; &lt;:e:4&gt; @here",
        "@\u{200b}everyone <\u{200b}@1> <\u{200b}@&2> <\u{200b}#3> <\u{200b}:e:4> @\u{200b}here",
        "@everyone <@1> <@&2> <#3> <:e:4> @here",
    ],
    [
        "\\# no\n\\- no\n1\\. no\n\\> no\n||no||",
        "# no\n- no\n1. no\n&gt; no\n||no||",
        "\\# no\n\\- no\n1\\. no\n\\> no\n\\|\\|no\\|\\|",
        "# no\n- no\n1. no\n> no\n||no||",
    ],
    ["a&nbsp;&lt;b&gt;", "a\u{a0}&lt;b&gt;", "a\u{a0}<b>", "a\u{a0}<b>"],
    ["#", "#", "\\#", "#"],
];

#[test]
fn each_element_becomes_what_the_channel_knows() {
    for [source, html, markdown, text] in TABLE {
        assert_eq!(telegram(source), *html, "Telegram: {source}");
        assert_eq!(discord(source), *markdown, "Discord: {source}");
        assert_eq!(plain(source), *text, "plain: {source}");
    }
}

#[test]
fn nothing_to_see_gives_no_message() {
    for text in ["", " ", "\n\n\t", "\u{200b}\u{feff}", "&#8203;", "\0\u{1}"] {
        for flavor in [Flavor::Telegram, Flavor::Discord, Flavor::Plain] {
            let shown = parts(text, flavor);
            assert!(shown.is_empty() || text == "&#8203;", "{text:?}: {shown:?}");
        }
    }
}

#[test]
fn verbatim_text_is_shown_character_by_character() {
    let text = "# a **b** <c> __d__\n- [e](https://x.y)\n    ```";
    let [part] = &verbatim(text, Flavor::Telegram)[..] else { panic!("one part") };
    assert_eq!(visible(&part.markup).as_deref(), Ok(text));
    assert_eq!(part.plain, text);
    let [part] = &verbatim(text, Flavor::Discord)[..] else { panic!("one part") };
    assert_eq!(part.markup, "\\# a \\*\\*b\\*\\* <c> \\_\\_d\\_\\_\n\\- \\[e](https://x.y)\n    \\`\\`\\`");
}

#[test]
fn a_word_longer_than_a_message_goes_over_several() {
    for flavor in [Flavor::Telegram, Flavor::Discord] {
        let word = "x".repeat(5000);
        let shown = parts(&format!("**{word}**"), flavor);
        let joined: String = shown.iter().map(|part| part.plain.as_str()).collect();
        assert_eq!(joined, word);
        assert_eq!(shown.len(), if flavor == Flavor::Telegram { 2 } else { 3 });
        let (open, close) = if flavor == Flavor::Telegram { ("<b>x", "x</b>") } else { ("**x", "x**") };
        assert!(shown.iter().all(|part| part.markup.starts_with(open) && part.markup.ends_with(close)));
    }
}

#[test]
fn characters_are_never_torn_apart() {
    let family = "👨‍👩‍👧‍👦";
    for shift in 0..12 {
        let text = format!("{}{}", "a".repeat(4090 + shift), family.repeat(400));
        for flavor in [Flavor::Telegram, Flavor::Discord] {
            let shown = parts(&text, flavor);
            assert!(
                shown
                    .iter()
                    .skip(1)
                    .all(|part| part.plain.starts_with(family) || part.plain.starts_with('a'))
            );
            assert_eq!(shown.iter().map(|part| part.plain.as_str()).collect::<String>(), text);
        }
    }
}

#[test]
fn long_code_is_closed_and_opened_again_with_its_language() {
    use std::fmt::Write as _;
    let mut code = String::new();
    for line in 0..10_000 {
        writeln!(code, "    let x{line} = \"<{line}>\";").unwrap();
    }
    let text = format!("before\n\n```rust\n{code}```\n\nafter");
    let shown = parts(&text, Flavor::Telegram);
    assert!(shown.len() > 50 && shown.len() < 120, "{}", shown.len());
    let mut joined = String::new();
    for part in &shown {
        let seen = visible(&part.markup).unwrap();
        assert!(seen.encode_utf16().count() <= 4096);
        assert_eq!(part.markup.matches("<pre><code class=\"language-rust\">").count(), 1);
        assert!(seen.ends_with(';') || seen.ends_with("after"), "cut at a line");
        joined.push_str(seen.trim_end());
        joined.push('\n');
    }
    let lines =
        |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&joined), lines(&text.replace("```rust", "").replace("```", "")));
    for part in parts(&text, Flavor::Discord) {
        assert!(part.markup.chars().count() <= 2000);
        assert_eq!((part.markup.matches("```rust\n").count(), part.markup.matches("```").count()), (1, 2));
    }
}

#[test]
fn a_message_ends_where_a_reader_would_pause() {
    let sentence = "Several words make a sentence. ";
    let paragraph = sentence.repeat(20).trim_end().to_owned();
    let text = vec![paragraph.as_str(); 20].join("\n\n");
    let shown = parts(&text, Flavor::Telegram);
    assert!(
        shown.iter().all(|part| part.plain.len() % (paragraph.len() + 2) == paragraph.len()),
        "{shown:?}"
    );
    let mut shown = parts(&sentence.repeat(400), Flavor::Discord);
    shown.pop();
    assert!(shown.iter().all(|part| part.plain.ends_with("sentence.") && part.plain.len() > 1000));
}

#[test]
fn a_quote_goes_on_in_the_next_message() {
    let text = format!("> {}", "words and words ".repeat(400));
    assert!(parts(&text, Flavor::Discord).iter().all(|part| part.markup.starts_with("> ")));
    let shown = parts(&text, Flavor::Telegram);
    assert!(shown.len() > 1 && shown.iter().all(|part| part.markup.starts_with("<blockquote>")));
}

#[test]
fn an_address_longer_than_a_message_is_shown() {
    let address = format!("https://x.y/{}", "z".repeat(9000));
    for flavor in [Flavor::Telegram, Flavor::Discord] {
        let shown = parts(&format!("[a]({address})"), flavor);
        let joined: String = shown.iter().map(|part| part.plain.replace(['\n', ' '], "")).collect();
        assert_eq!(joined, format!("a({address})"));
    }
}

#[test]
fn more_links_than_a_message_keeps_go_into_the_next() {
    let text = "[a](https://x.y) ".repeat(150);
    let shown = parts(&text, Flavor::Telegram);
    assert!(shown.iter().all(|part| part.markup.matches("<a ").count() <= 100));
    assert_eq!(shown.iter().map(|part| part.markup.matches("<a ").count()).sum::<usize>(), 150);
}

#[test]
fn deep_nesting_is_read_and_shown() {
    for text in [
        ">".repeat(30_000) + " x",
        "- ".repeat(3000) + "x",
        "*".repeat(3000) + "x" + &"*".repeat(3000),
        "[".repeat(3000),
    ] {
        for flavor in [Flavor::Telegram, Flavor::Discord, Flavor::Plain] {
            let shown = parts(&text, flavor);
            assert!(shown.iter().any(|part| part.plain.contains(['x', '['])), "{}", &text[..9]);
            assert!(flavor != Flavor::Telegram || shown.iter().all(|part| visible(&part.markup).is_ok()));
        }
    }
}

#[test]
fn a_preview_is_one_message_that_says_when_it_goes_on() {
    let shown = |text: &str, below: &str| preview(text, below, Flavor::Telegram).map(|part| part.markup);
    assert_eq!(shown("", ""), None);
    assert_eq!(shown("**a", "").as_deref(), Some("**a"));
    assert_eq!(shown("**a**", "x_y <z>").as_deref(), Some("<b>a</b>\n\nx_y &lt;z&gt;"));
    assert_eq!(shown(" ", "x").as_deref(), Some("x"));
    assert_eq!(
        shown("```rust\nlet", "").as_deref(),
        Some("<pre><code class=\"language-rust\">let</code></pre>")
    );
    for text in ["word ".repeat(2000), format!("```\n{}", "line\n".repeat(3000)), "x".repeat(200_000)] {
        for flavor in [Flavor::Telegram, Flavor::Discord] {
            let part = preview(&text, "a\nb_c", flavor).unwrap();
            let below = if flavor == Flavor::Telegram { "a\nb_c" } else { "a\nb\\_c" };
            assert!(part.markup.ends_with(&format!("\n…\n\n{below}")), "{}", part.markup);
            let size = if flavor == Flavor::Telegram {
                visible(&part.markup).unwrap().encode_utf16().count()
            } else {
                part.markup.chars().count()
            };
            let limit = flavor.limit().unwrap();
            assert!(size <= limit && size > limit / 2, "{size}");
        }
    }
}

#[test]
fn cells_beyond_those_of_the_head_are_shown() {
    let source = "| a | **b** |\n|---|---|\n| c | **d** | e | `f` |\n| g |\n";
    let shown = plain(source);
    for word in ["a", "b", "c", "d", "e", "f", "g"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(!shown.contains("**"), "{shown}");
}
