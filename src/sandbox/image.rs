//! Building the image: its Dockerfile is in the program.

use std::collections::HashMap;

use bollard::{
    Docker, body_full,
    models::BuildInfo,
    query_parameters::{BuildImageOptions, BuildImageOptionsBuilder},
};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use crate::ports::sandbox_care::{BuildSpec, BuildStep};

use super::{body::LABEL, tar};

/// The Dockerfile of the image, as it is built.
pub const DOCKERFILE: &str = include_str!("../../assets/sandbox/Dockerfile");

/// Lines that wait for their reader.
const LINES: usize = 256;

/// Builds an image by this name; its output comes as it is said.
pub(super) fn build(docker: Docker, spec: &BuildSpec, name: String) -> mpsc::Receiver<BuildStep> {
    let mut files = vec![("Dockerfile", DOCKERFILE.as_bytes())];
    if let Some(ca) = &spec.extra_ca {
        files.push(("extra-ca.crt", ca));
    }
    let context = tar::archive(&files);
    let options = options(spec, &name);
    let (steps, read) = mpsc::channel(LINES);
    tokio::spawn(async move {
        let mut said = std::pin::pin!(docker.build_image(options, None, Some(body_full(context.into()))));
        while let Some(piece) = said.next().await {
            let step = match piece {
                Ok(info) => output(info),
                Err(error) => Some(BuildStep::Failed(error.to_string())),
            };
            let Some(step) = step else { continue };
            let over = matches!(step, BuildStep::Failed(_));
            // A reader that goes away ends the build: the engine stops when nobody listens.
            if steps.send(step).await.is_err() || over {
                return;
            }
        }
        let end = match docker.inspect_image(&name).await {
            Ok(_) => BuildStep::Done(name),
            Err(error) => BuildStep::Failed(error.to_string()),
        };
        let _ = steps.send(end).await;
    });
    read
}

fn options(spec: &BuildSpec, name: &str) -> BuildImageOptions {
    let mut args = HashMap::new();
    if let Some(base) = &spec.base {
        args.insert("BASE", base.as_str());
    }
    for (wanted, arg) in [(spec.claude_code, "CLAUDE_CODE"), (spec.codex, "CODEX")] {
        if wanted {
            args.insert(arg, "1");
        }
    }
    let builder = BuildImageOptionsBuilder::default().dockerfile("Dockerfile").t(name).rm(true).forcerm(true);
    let builder = builder.buildargs(&args).labels(&HashMap::from([(LABEL, "image")]));
    match &spec.network {
        Some(network) => builder.networkmode(network).build(),
        None => builder.build(),
    }
}

fn output(info: BuildInfo) -> Option<BuildStep> {
    if let Some(error) = info.error_detail {
        return Some(BuildStep::Failed(error.message.unwrap_or_default()));
    }
    info.stream.or(info.status).filter(|text| !text.trim().is_empty()).map(BuildStep::Output)
}
