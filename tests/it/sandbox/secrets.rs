//! Nothing of the host's secrets is inside: not in the environment, not in files, not in what can be seen of processes.

use std::fmt::Write as _;

use atoll::ports::sandbox::Sandboxes;
use base64::Engine as _;

use super::{
    bench::{Bench, run, sh},
    owners::OwnerProcess,
};

#[tokio::test]
async fn no_secret_of_the_owner_is_seen_inside_in_the_clear_or_encoded() {
    let bench = Bench::new();
    // The process that makes the sandbox has them in its environment, its home has them in files.
    let canaries = ["canary-environment-7f3a9c", "canary-configuration-51bd20"];
    std::fs::write(bench.home.path().join("config.yaml"), format!("llm: {{api_key: {}}}", canaries[1]))
        .unwrap();
    let env =
        [("ANTHROPIC_API_KEY", canaries[0]), ("OPENAI_API_KEY", canaries[0]), ("GITHUB_TOKEN", canaries[0])];
    let owner = OwnerProcess::start(&bench, &env);
    let sandbox = bench.all.adopt(&owner.id).await.unwrap();

    let mut needles = Vec::new();
    for canary in canaries {
        needles.push(canary.to_owned());
        needles
            .push(base64::engine::general_purpose::STANDARD.encode(canary).trim_end_matches('=').to_owned());
        needles.push(canary.bytes().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }));
        needles.push(canary.chars().rev().collect());
    }
    // The needles come over stdin: in the arguments they would find themselves.
    let script = "cat > /dev/shm/needles; { env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/mounts \
                  /proc/self/mountinfo; } 2>/dev/null | tr '\\0' '\\n' | grep -F -f /dev/shm/needles && echo FOUND in \
                  processes; grep -r -s -I -l -F -f /dev/shm/needles /home /workspace /tmp /run /etc /opt /var /root \
                  /srv /mnt && echo FOUND in files; echo searched";
    let ran = run(&*sandbox, sh(script), needles.join("\n").into_bytes()).await;
    assert_eq!(ran.text(), "searched", "{} {}", ran.text(), ran.err);
    // The search finds what is there.
    let script = "cat > /dev/shm/needles; head -n 1 /dev/shm/needles > /tmp/planted; grep -r -s -l -F -f \
                  /dev/shm/needles /tmp";
    assert_eq!(run(&*sandbox, sh(script), needles.join("\n").into_bytes()).await.text(), "/tmp/planted");
    sandbox.kill().await.unwrap();
}
