//! stub
#![allow(missing_docs)]
use super::Millis;
pub struct Pace;
impl Pace {
    pub fn telegram() -> Self {
        Self
    }
    pub fn discord() -> Self {
        Self
    }
    pub fn next(&mut self, _chat: &str, _group: bool, _now: Millis) -> Millis {
        0
    }
    pub fn hold(&mut self, _chat: Option<&str>, _until: Millis) {}
}
