//! Tools: side by side where they may, results in order, scripts that fail, hang, or misbehave.
