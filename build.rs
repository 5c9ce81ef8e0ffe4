//! Compiles the relay that runs inside sandboxes (`relay/`) to a static program, which `src/sandbox/relay.rs` embeds.

use std::{
    env,
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=relay/src");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = Path::new(&env::var("OUT_DIR")?).join("relay");
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc.arg("--edition=2024").arg("--crate-name=relay").arg("--target").arg(env::var("TARGET")?);
    for option in [
        "target-feature=+crt-static",
        "opt-level=s",
        "panic=abort",
        "strip=symbols",
        "codegen-units=1",
        // Static glibc at a fixed address: the simplest program that a sandbox's kernel can be asked to start.
        "relocation-model=static",
    ] {
        rustc.arg("-C").arg(option);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    rustc.arg("--remap-path-prefix").arg(format!("{}=.", root.display()));
    let done = rustc.arg("-o").arg(out).arg(root.join("relay/src/main.rs")).output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("the relay cannot be built; a static C library is needed (Debian: libc6-dev):\n{said}")
        .into())
}
