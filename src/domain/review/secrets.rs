//! Texts that look like keys and passwords: known shapes, and random-looking values with a telling name.

/// A place in a line that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFound {
    /// What it looks like.
    pub kind: &'static str,
    /// First byte of it in the line.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
}

/// A secret that is known by how it begins.
struct Shape {
    kind: &'static str,
    prefix: &'static str,
    /// Characters beside letters and digits that may follow.
    more: &'static str,
    min: usize,
    max: usize,
}

const fn shape(
    kind: &'static str,
    prefix: &'static str,
    more: &'static str,
    min: usize,
    max: usize,
) -> Shape {
    Shape { kind, prefix, more, min, max }
}

const ANY: usize = 4_096;

/// What vendors publish of the form of their keys. Longer prefixes stand before those that they begin with.
const SHAPES: &[Shape] = &[
    shape("AWS access key", "AKIA", "", 16, 16),
    shape("AWS access key", "ASIA", "", 16, 16),
    shape("GitHub token", "github_pat_", "_", 50, 120),
    shape("GitHub token", "ghp_", "", 36, 255),
    shape("GitHub token", "gho_", "", 36, 255),
    shape("GitHub token", "ghu_", "", 36, 255),
    shape("GitHub token", "ghs_", "", 36, 255),
    shape("GitHub token", "ghr_", "", 36, 255),
    shape("GitLab token", "glpat-", "_-.", 20, 300),
    shape("GitLab token", "gldt-", "_-", 20, 64),
    shape("GitLab token", "glrt-", "_-.", 20, 300),
    shape("GitLab token", "glptt-", "_-", 20, 64),
    shape("GitLab token", "glcbt-", "_-", 20, 300),
    shape("Slack token", "xoxb-", "-", 20, 255),
    shape("Slack token", "xoxp-", "-", 20, 255),
    shape("Slack token", "xoxa-", "-", 20, 255),
    shape("Slack token", "xoxr-", "-", 20, 255),
    shape("Slack token", "xapp-", "-", 20, 255),
    shape("Stripe key", "sk_live_", "", 20, 255),
    shape("Stripe key", "rk_live_", "", 20, 255),
    shape("webhook secret", "whsec_", "+/=", 24, 255),
    shape("Anthropic key", "sk-ant-", "_-", 20, 255),
    shape("OpenRouter key", "sk-or-", "_-", 20, 255),
    shape("OpenAI key", "sk-proj-", "_-", 20, 255),
    shape("OpenAI key", "sk-svcacct-", "_-", 20, 255),
    shape("API key", "sk-", "", 32, 128),
    shape("Google API key", "AIza", "_-", 35, 35),
    shape("Google client secret", "GOCSPX-", "_-", 28, 28),
    shape("Google token", "ya29.", "_-", 30, ANY),
    shape("npm token", "npm_", "", 36, 36),
    shape("PyPI token", "pypi-", "_-", 80, ANY),
    shape("Hugging Face token", "hf_", "", 30, 60),
    shape("SendGrid key", "SG.", "_-.", 60, 80),
    shape("DigitalOcean token", "dop_v1_", "", 64, 64),
    shape("Shopify token", "shpat_", "", 32, 32),
    shape("Linear key", "lin_api_", "", 32, 64),
    shape("Vault token", "hvs.", "_-", 24, 255),
    shape("Doppler token", "dp.pt.", "", 40, 48),
    shape("Atlassian token", "ATATT3", "_-=", 60, 255),
    shape("Groq key", "gsk_", "", 40, 64),
    shape("xAI key", "xai-", "", 60, 100),
    shape("age key", "AGE-SECRET-KEY-1", "", 50, 64),
];

/// Parts of names whose values are secret.
const TELLING: &[&str] = &[
    "secret",
    "token",
    "passwd",
    "password",
    "passphrase",
    "apikey",
    "api_key",
    "api-key",
    "accesskey",
    "access_key",
    "access-key",
    "private_key",
    "privatekey",
    "private-key",
    "client_key",
    "credential",
    "auth_key",
    "authkey",
    "encryption_key",
    "signing_key",
    "accountkey",
    "_pwd",
    "connectionstring",
];

/// Parts of values that stand for a secret and are none.
const STAND_INS: &[&str] = &[
    "example",
    "changeme",
    "change_me",
    "change-me",
    "placeholder",
    "your",
    "xxxx",
    "****",
    "....",
    "${",
    "{{",
    "$(",
    "<",
    "dummy",
    "redacted",
    "process.env",
    "environ",
    "1234567890",
    "abcdef",
    "test-key",
    "insert",
];

/// Everything in a line that looks like a secret, in order and without overlap. `names` also looks at values that seem
/// random and have a telling name, which makes sense for text only.
pub fn secrets_in(line: &str, names: bool) -> Vec<SecretFound> {
    let mut found = Vec::new();
    for shape in SHAPES {
        shaped(line, shape, &mut found);
    }
    dotted(line, &mut found);
    bot_tokens(line, &mut found);
    urls(line, &mut found);
    if let Some((start, end)) = key_line(line) {
        found.push(SecretFound { kind: "private key", start, end });
    }
    if names {
        assigned(line, &mut found);
    }
    found.sort_by_key(|one| (one.start, usize::MAX - one.end));
    let mut end = 0;
    found.retain(|one| {
        let fits = one.start >= end;
        if fits {
            end = one.end;
        }
        fits
    });
    found
}

/// A secret as it may be shown: how it begins, when it is long, and how long it is.
pub fn masked(secret: &str) -> String {
    let count = secret.chars().count();
    let begins: String = secret.chars().take((count / 6).min(4)).collect();
    format!("{begins}…({count} characters)")
}

/// The begin of a private key in PEM, without the words around it.
pub(super) fn key_line(line: &str) -> Option<(usize, usize)> {
    let start = line.find("-----BEGIN ")?;
    let rest = &line[start + 11..];
    let end = rest.find("-----")?;
    rest[..end].contains("PRIVATE KEY").then_some((start, start + 11 + end + 5))
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn shaped(line: &str, shape: &Shape, found: &mut Vec<SecretFound>) {
    for (start, _) in line.match_indices(shape.prefix) {
        let inside = line[..start].chars().next_back().is_some_and(is_word);
        let body = &line[start + shape.prefix.len()..];
        let fits = |c: char| c.is_ascii_alphanumeric() || shape.more.contains(c);
        let length = body.find(|c| !fits(c)).unwrap_or(body.len());
        let text = &body[..length];
        let ends = !body[length..].starts_with(is_word);
        let random = entropy(text) >= 2.5 && !is_stand_in(text);
        if !inside && ends && random && (shape.min..=shape.max).contains(&length) {
            let end = start + shape.prefix.len() + length;
            found.push(SecretFound { kind: shape.kind, start, end });
        }
    }
}

/// JSON web tokens, and the tokens of Discord's bots: three parts with dots between.
fn dotted(line: &str, found: &mut Vec<SecretFound>) {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut at = 0;
    for word in line.split(|c| !fits(c)) {
        let start = word.as_ptr() as usize - line.as_ptr() as usize;
        debug_assert!(start >= at);
        at = start;
        let parts: Vec<&str> = word.splitn(4, '.').collect();
        let &[one, two, three] = parts.as_slice() else { continue };
        let is_jwt = one.len() > 15 && one.starts_with("eyJ") && two.starts_with("eyJ") && three.len() >= 20;
        let is_discord = one.starts_with(['M', 'N', 'O'])
            && (24..=28).contains(&one.len())
            && (6..=7).contains(&two.len())
            && (27..=45).contains(&three.len())
            && entropy(three) >= 3.0;
        if is_jwt || is_discord {
            let kind = if is_jwt { "JSON web token" } else { "Discord token" };
            found.push(SecretFound { kind, start, end: start + word.len() });
        }
    }
}

/// Tokens of Telegram's bots: a number, a colon, 35 characters.
fn bot_tokens(line: &str, found: &mut Vec<SecretFound>) {
    for (colon, _) in line.match_indices(':') {
        let digits = line[..colon].bytes().rev().take(12).take_while(u8::is_ascii_digit).count();
        let body = &line[colon + 1..];
        let length = body.find(|c: char| !is_word(c) && c != '-').unwrap_or(body.len());
        if (8..=10).contains(&digits) && length == 35 && entropy(&body[..length]) >= 3.0 {
            found.push(SecretFound {
                kind: "Telegram token",
                start: colon - digits,
                end: colon + 1 + length,
            });
        }
    }
}

/// Passwords in addresses.
fn urls(line: &str, found: &mut Vec<SecretFound>) {
    for (at, _) in line.match_indices("://") {
        let rest = &line[at + 3..];
        let end = rest.find(|c: char| c.is_whitespace() || "/\"'<>`?#".contains(c)).unwrap_or(rest.len());
        let Some((login, _)) = rest[..end].rsplit_once('@') else { continue };
        let Some((user, password)) = login.split_once(':') else { continue };
        let plain = ["password", "secret", "postgres", "root", "admin", "guest", "pass"];
        let harmless =
            password.len() < 6 || password == user || plain.contains(&password) || password.starts_with('$');
        if !harmless && !is_stand_in(password) {
            let start = at + 3 + user.len() + 1;
            found.push(SecretFound { kind: "password in an address", start, end: start + password.len() });
        }
    }
}

/// Values that look random, given to a name that tells.
fn assigned(line: &str, found: &mut Vec<SecretFound>) {
    for (at, sign) in line.match_indices(['=', ':']) {
        let name = name_before(&line[..at]).to_lowercase();
        if name.is_empty() || !TELLING.iter().any(|part| name.contains(part)) {
            continue;
        }
        let after = &line[at + sign.len()..];
        let gap = after.len() - after.trim_start_matches([' ', '\t', '=', '>', ':']).len();
        let (quote, value) = match after[gap..].chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => (1, after[gap + 1..].split(quote).next().unwrap_or_default()),
            Some(_) => (
                0,
                after[gap..]
                    .split([' ', '\t', ',', ';', ')', '}', ']', '"', '\''])
                    .next()
                    .unwrap_or_default(),
            ),
            None => continue,
        };
        if looks_random(value, quote == 1) {
            let start = at + sign.len() + gap + quote;
            found.push(SecretFound {
                kind: "value that looks like a secret",
                start,
                end: start + value.len(),
            });
        }
    }
}

/// The name that a value is given to: `api_key`, `"api_key"`, `config["api_key"]`.
fn name_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '"', '\'', '`', ']', ')', '?', '!', '+']);
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let start =
        text.rfind(|c| !fits(c)).map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    &text[start..]
}

fn looks_random(value: &str, quoted: bool) -> bool {
    let least = if quoted { 12 } else { 16 };
    let fits = |c: char| {
        if quoted { c.is_ascii_graphic() } else { c.is_ascii_alphanumeric() || "+/=_-".contains(c) }
    };
    let has = |what: fn(&char) -> bool| value.chars().any(|c| what(&c));
    (least..=512).contains(&value.len())
        && value.chars().all(fits)
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && !is_stand_in(value)
        && entropy(value) >= 3.0
}

fn is_stand_in(value: &str) -> bool {
    let value = value.to_lowercase();
    STAND_INS.iter().any(|part| value.contains(part))
}

/// Bits of surprise a character (Shannon).
fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let all = text.len().max(1) as f64;
    let part = |count: &u32| f64::from(*count) / all;
    counts.iter().filter(|count| **count > 0).map(|count| -part(count) * part(count).log2()).sum()
}
