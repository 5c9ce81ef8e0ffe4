//! A build context as a tar stream: a few small files, in the ustar format of POSIX.1-2017 (pax, "ustar Interchange
//! Format").

/// A block of the format, in bytes.
const BLOCK: usize = 512;

/// An archive of these files.
pub(super) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, text) in files {
        all.extend_from_slice(&header(name, text.len()));
        all.extend_from_slice(text);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
    }
    all.resize(all.len() + 2 * BLOCK, 0);
    all
}

fn header(name: &str, size: usize) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    // Names are ours and short: 99 bytes at most.
    put(0, &name.as_bytes()[..name.len().min(99)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    // No time: the same files are the same archive, and the engine finds what it built of them.
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn tar_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(&[("one", b"hello"), ("two", &[7; 1000])]);
        let mut tar = Command::new("tar");
        let mut tar = tar.args(["-xf", "-", "-C"]).arg(folder.path()).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut tar.stdin.take().unwrap(), &archive).unwrap();
        assert!(tar.wait().unwrap().success());
        assert_eq!(std::fs::read(folder.path().join("one")).unwrap(), b"hello");
        assert_eq!(std::fs::read(folder.path().join("two")).unwrap(), [7; 1000]);
    }
}
