//! Building the image with the real binary.

use super::bench::{docker, socket};
use crate::support::*;

#[tokio::test]
async fn the_image_is_built_from_what_is_in_the_program_and_what_fails_is_told() {
    let docker = docker().await;
    let name = format!("atoll-test-built-{}:1", std::process::id());
    let site = Site::new(&format!(
        "sandbox: {{docker: '{}', image: '{name}', tmp_mib: 64}}\nllm: {{provider: rehearsal}}",
        socket().display()
    ));
    let failed = site.run(&["sandbox", "build", "--base", "localhost:1/atoll:1", "--network", "none"]);
    assert!(!failed.status.success());
    let errors = String::from_utf8_lossy(&failed.stderr);
    assert!(errors.contains("the image is not built") && errors.contains("localhost:1"), "{errors}");
    assert!(docker.inspect_image(&name).await.is_err());

    // What `scripts/services` built of the same Dockerfile is used again, so this is quick.
    let said = site.say(&["sandbox", "build", "--base", "atoll-base:bookworm", "--network", "host"]);
    assert!(said.contains("Step 1/") && said.contains(&format!("{name} is built")), "{said}");
    let image = docker.inspect_image(&name).await.unwrap();
    let config = image.config.unwrap();
    assert_eq!(config.user.as_deref(), Some("1001:1001"));
    assert!(config.labels.unwrap().contains_key("atoll"));
    let report: serde_json::Value = serde_json::from_str(&site.say(&["sandbox", "test", "--json"])).unwrap();
    assert_eq!(report["holds"], true, "{report:#}");
    docker.remove_image(&name, None::<bollard::query_parameters::RemoveImageOptions>, None).await.unwrap();
}
