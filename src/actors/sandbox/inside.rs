//! A sandbox whose programs all know the way out.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::BoxFuture;

use crate::ports::sandbox::{Exec, ExecSpec, Sandbox, SandboxError};

/// What every program is told, unless it is told otherwise.
pub(super) fn surroundings(port: u16) -> BTreeMap<String, String> {
    let proxy = format!("http://127.0.0.1:{port}");
    let mut env = BTreeMap::new();
    // Programs differ in which of them they read.
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        env.insert(name.to_owned(), proxy.clone());
        env.insert(name.to_ascii_lowercase(), proxy.clone());
    }
    for name in ["NO_PROXY", "no_proxy"] {
        env.insert(name.to_owned(), "127.0.0.1,localhost".to_owned());
    }
    // The work tree may belong to the host's user, which git would take for a danger.
    for (name, value) in [("COUNT", "1"), ("KEY_0", "safe.directory"), ("VALUE_0", "*")] {
        env.insert(format!("GIT_CONFIG_{name}"), value.to_owned());
    }
    env
}

/// A sandbox with such surroundings.
pub(super) struct Inside {
    pub(super) sandbox: Arc<dyn Sandbox>,
    pub(super) env: BTreeMap<String, String>,
}

impl Sandbox for Inside {
    fn id(&self) -> &str {
        self.sandbox.id()
    }

    fn exec(&self, mut spec: ExecSpec) -> BoxFuture<'static, Result<Exec, SandboxError>> {
        let mut env = self.env.clone();
        env.append(&mut spec.env);
        self.sandbox.exec(ExecSpec { env, ..spec })
    }

    fn kill(&self) -> BoxFuture<'static, Result<(), SandboxError>> {
        self.sandbox.kill()
    }

    fn died(&self) -> BoxFuture<'static, String> {
        self.sandbox.died()
    }
}
