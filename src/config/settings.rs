//! The file as a flat list of settings, each checked against its key. Faults are collected, never thrown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    check::Fault,
    env::{Env, expand},
    keys::{KEYS, Key, Kind},
};

/// All settings of a file, by path, with the faults found on the way.
pub(super) struct Settings<'e> {
    values: BTreeMap<String, Value>,
    /// Names that the file gives under a `*`: models of the price list, skills.
    names: BTreeMap<&'static str, BTreeSet<String>>,
    lists: BTreeMap<&'static str, usize>,
    faults: Vec<Fault>,
    env: &'e dyn Env,
    #[cfg(test)]
    pub(super) asked: std::cell::RefCell<BTreeSet<&'static str>>,
}

impl<'e> Settings<'e> {
    /// Flattens a tree of values.
    pub(super) fn read(root: &Value, env: &'e dyn Env) -> Self {
        let mut settings = Self {
            values: BTreeMap::new(),
            names: BTreeMap::new(),
            lists: BTreeMap::new(),
            faults: Vec::new(),
            env,
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        };
        if root.is_object() {
            settings.walk("", "", root);
        } else {
            settings.fault("", "must be a map of keys");
        }
        settings
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    pub(super) fn fault(&mut self, path: &str, message: impl Into<String>) {
        self.faults.push(Fault { path: path.to_owned(), message: message.into() });
    }

    /// A variable of the environment.
    pub(super) fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).filter(|value| !value.is_empty())
    }

    /// How many entries a list has.
    pub(super) fn len(&self, list: &'static str) -> usize {
        self.lists.get(list).copied().unwrap_or(0)
    }

    /// The names that the file gives below `parent`.
    pub(super) fn names(&self, parent: &'static str) -> Vec<String> {
        self.names.get(parent).into_iter().flatten().cloned().collect()
    }

    /// The value at `path`, or the default of `key`.
    fn get(&self, path: &str, key: &Key) -> Option<Value> {
        #[cfg(test)]
        self.asked.borrow_mut().insert(key.path);
        match self.values.get(path) {
            Some(value) => Some(value.clone()),
            None if key.default.is_empty() => None,
            None => convert(&Value::String(key.default.to_owned()), key.kind).ok(),
        }
    }

    /// Text, or nothing.
    pub(super) fn text(&self, path: &str, pattern: &str) -> Option<String> {
        let text = self.get(path, known(pattern))?.as_str()?.to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// A whole number.
    pub(super) fn int(&self, path: &str, pattern: &str) -> u64 {
        self.get(path, known(pattern)).and_then(|value| value.as_u64()).unwrap_or(0)
    }

    /// A number, or nothing.
    pub(super) fn number(&self, path: &str, pattern: &str) -> Option<f64> {
        self.get(path, known(pattern))?.as_f64()
    }

    /// True or false.
    pub(super) fn bool(&self, path: &str, pattern: &str) -> bool {
        self.get(path, known(pattern)).and_then(|value| value.as_bool()).unwrap_or(false)
    }

    /// A list of texts.
    pub(super) fn texts(&self, path: &str) -> Vec<String> {
        let value = self.get(path, known(path));
        let items = value.as_ref().and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What the file gives below `prefix`, by the rest of the path.
    pub(super) fn below(&self, prefix: &str) -> serde_json::Map<String, Value> {
        let found = self.values.iter().filter_map(|(path, value)| {
            path.strip_prefix(prefix).map(|rest| (rest.to_owned(), value.clone()))
        });
        found.collect()
    }

    /// True when something was found wrong with this very path.
    pub(super) fn has_fault(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| fault.path == path)
    }

    /// True when the file gives a value here.
    pub(super) fn is_set(&self, path: &str) -> bool {
        self.values.contains_key(path)
    }

    fn walk(&mut self, path: &str, pattern: &str, value: &Value) {
        if let Some(key) = KEYS.iter().find(|key| key.path == pattern) {
            return self.leaf(path, key, value);
        }
        let list = format!("{pattern}[]");
        if KEYS.iter().any(|key| key.path.starts_with(&list)) {
            return self.list(path, pattern, value);
        }
        let Value::Object(map) = value else {
            if !value.is_null() {
                self.fault(path, "must be a map of keys");
            }
            return;
        };
        for (name, child) in map {
            let join = |head: &str, tail: &str| {
                if head.is_empty() { tail.to_owned() } else { format!("{head}.{tail}") }
            };
            let (exact, any) = (join(pattern, name), join(pattern, "*"));
            let child_path = join(path, name);
            if is_prefix(&exact) {
                self.walk(&child_path, &exact, child);
            } else if is_prefix(&any) {
                if let Some(parent) = KEYS
                    .iter()
                    .map(|key| key.path)
                    .find(|known| known.strip_prefix(pattern).is_some_and(|rest| rest.starts_with(".*.")))
                {
                    let parent = &parent[..pattern.len()];
                    self.names.entry(parent).or_default().insert(name.clone());
                }
                self.walk(&child_path, &any, child);
            } else {
                self.fault(&child_path, unknown(pattern, name));
            }
        }
    }

    fn list(&mut self, path: &str, pattern: &str, value: &Value) {
        let items = match value {
            Value::Array(items) => items.clone(),
            Value::Object(_) => vec![value.clone()],
            Value::Null => Vec::new(),
            _ => return self.fault(path, "must be one map of keys or a list of them"),
        };
        if let Some(key) = KEYS.iter().map(|key| key.path).find(|known| known.starts_with(pattern)) {
            self.lists.insert(&key[..pattern.len()], items.len());
        }
        for (at, item) in items.iter().enumerate() {
            let place = format!("{path}[{at}]");
            if item.is_object() {
                self.walk(&place, &format!("{pattern}[]"), item);
            } else {
                self.fault(&place, "must be a map of keys");
            }
        }
    }

    fn leaf(&mut self, path: &str, key: &Key, value: &Value) {
        let mut value = value.clone();
        if let Err(message) = expand_all(&mut value, self.env) {
            return self.fault(path, message);
        }
        if value.is_null() {
            return;
        }
        match convert(&value, key.kind) {
            Ok(value) => drop(self.values.insert(path.to_owned(), value)),
            Err(message) => self.fault(path, message),
        }
    }
}

fn known(pattern: &str) -> &'static Key {
    const MISSING: Key = Key { path: "", kind: Kind::Any, default: "", what: "" };
    let key = KEYS.iter().find(|key| key.path == pattern);
    debug_assert!(key.is_some(), "{pattern} is not in KEYS");
    key.unwrap_or(&MISSING)
}

fn is_prefix(pattern: &str) -> bool {
    KEYS.iter().any(|key| {
        key.path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// Says what could have been meant.
fn unknown(pattern: &str, name: &str) -> String {
    let siblings: BTreeSet<&str> = KEYS
        .iter()
        .filter_map(|key| key.path.strip_prefix(pattern))
        .map(|rest| rest.trim_start_matches('.').split(['.', '[']).next().unwrap_or_default())
        .filter(|sibling| !sibling.is_empty() && *sibling != "*")
        .collect();
    let siblings: Vec<&str> = siblings.into_iter().collect();
    format!("there is no key `{name}` here; there are: {}", siblings.join(", "))
}

fn expand_all(value: &mut Value, env: &dyn Env) -> Result<(), String> {
    match value {
        Value::String(text) => *text = expand(text, env)?,
        Value::Array(items) => items.iter_mut().try_for_each(|item| expand_all(item, env))?,
        Value::Object(map) => map.values_mut().try_for_each(|item| expand_all(item, env))?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The value as its kind wants it. Texts are read as numbers and truth values too: they may come from the
/// environment. Messages never show a value that could be a secret.
fn convert(value: &Value, kind: Kind) -> Result<Value, String> {
    let text = match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match (kind, text) {
        (Kind::Any | Kind::Planned, _) => Ok(value.clone()),
        (Kind::Text | Kind::Secret, Some(text)) => Ok(Value::String(text)),
        (Kind::Bool, Some(text)) => match text.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err("must be true or false".into()),
        },
        (Kind::Int(low, high), Some(text)) => match text.parse::<i64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Value::from(number)),
            Ok(number) => Err(format!("must be from {low} to {high}, and is {number}")),
            Err(_) => Err(format!("must be a whole number from {low} to {high}")),
        },
        (Kind::Number(low, high), Some(text)) => match text.parse::<f64>() {
            Ok(number) if (low..=high).contains(&number) => Ok(Value::from(number)),
            Ok(number) => Err(format!("must be from {low} to {high}, and is {number}")),
            Err(_) => Err(format!("must be a number from {low} to {high}")),
        },
        (Kind::Choice(choices), Some(text)) if choices.contains(&text.as_str()) => Ok(Value::String(text)),
        (Kind::Choice(choices), _) => Err(format!("must be one of: {}", choices.join(", "))),
        (Kind::Url, Some(text)) => {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            match host {
                _ if text.is_empty() => Ok(Value::String(text)),
                Some(host) if !host.is_empty() => Ok(Value::String(text.trim_end_matches('/').to_owned())),
                _ => Err("must begin with http:// or https://".into()),
            }
        }
        (Kind::Texts, _) => match value {
            // An id of nothing but digits is a number in YAML.
            Value::Array(items)
                if items.iter().all(|item| item.is_string() || item.is_u64() || item.is_i64()) =>
            {
                let text = |item: &Value| item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                Ok(items.iter().map(text).collect::<Vec<_>>().into())
            }
            Value::String(text) if text.is_empty() => Ok(Value::Array(Vec::new())),
            _ => Err("must be a list of texts".into()),
        },
        (Kind::Text | Kind::Secret, None) => Err("must be a text".into()),
        (Kind::Bool, None) => Err("must be true or false".into()),
        (Kind::Int(..) | Kind::Number(..), None) => Err("must be a number".into()),
        (Kind::Url, None) => Err("must be an address".into()),
    }
}
