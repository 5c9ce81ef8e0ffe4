//! What to tell people when sandboxes cannot be made or trusted: the exact steps.

use std::path::Path;

/// There is no engine, or not for us.
pub(super) fn no_engine(socket: &Path, why: &str) -> String {
    let socket = socket.display();
    format!(
        "no container engine answers at {socket} ({why}): install Docker (Debian: apt-get install docker.io), let the \
         user that runs Atoll use it (usermod -aG docker USER, then log in anew), or name its socket in `sandbox.docker`"
    )
}

/// The engine does not know the runtime.
pub(super) fn no_runtime(runtime: &str) -> String {
    format!(
        "Docker does not know the runtime `{runtime}`. Install gVisor ({INSTALL}), then put \
         {{\"runtimes\": {{\"{runtime}\": {{\"path\": \"/usr/bin/runsc\", \"runtimeArgs\": [\"--network=none\"]}}}}}} \
         into /etc/docker/daemon.json and reload Docker (systemctl reload docker)"
    )
}

/// The image is not there.
pub(super) fn no_image(image: &str) -> String {
    format!("the image {image} is not there: build it with `atoll sandbox build`")
}

/// It is gVisor, and too old.
pub(super) fn too_old() -> String {
    format!(
        "this gVisor is too old: programs of today's systems fail in it (release after 2024-10-17: {INSTALL})"
    )
}

/// Something else bears the name of gVisor.
pub(super) fn not_gvisor(runtime: &str) -> String {
    format!(
        "the runtime `{runtime}` is not gVisor: let its `path` in /etc/docker/daemon.json be that of runsc, and reload \
         Docker (systemctl reload docker)"
    )
}

/// Whoever chose runc should know.
pub(super) const SHARED_KERNEL: &str = "`sandbox.runtime: runc` gives programs the kernel of this machine: a hole in \
                                        it is a way out. `runsc` (gVisor) does not";

const INSTALL: &str = "Debian 13 has it: apt-get install runsc; on Debian 12 add Debian 13 as a source pinned to 50 \
                       and apt-get install runsc/trixie; elsewhere see https://gvisor.dev/docs/user_guide/install";
