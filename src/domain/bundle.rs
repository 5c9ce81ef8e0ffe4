//! The head of a git bundle, read before git sees the file, and the script that makes one where an agent has worked.

/// Longest head that is read, in bytes.
pub const LONGEST_HEAD: usize = 64 * 1024;
/// Most refs and prerequisites together.
const MOST_LINES: usize = 200;

/// Hands a workspace over as a bundle; run inside the sandbox by `sh -c SCRIPT sh WORKSPACE FILE BASE`. Everything that is
/// not ignored is committed, also when nothing changed, because git makes no empty bundles; the ref in it is `HEAD`.
/// Whatever the workspace's own git does here happens in the sandbox.
pub const HAND_OVER: &str = "set -e\ncd \"$1\"\nrm -f \"$2\"\ngit add -A\n\
     git -c commit.gpgSign=false -c gc.auto=0 -c maintenance.auto=false commit -q --no-verify --allow-empty -m 'State to hand over'\n\
     git bundle create -q --version=2 \"$2\" HEAD \"^$3\"\n";

/// Why a bundle was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bundle is refused: {0}")]
pub struct BadBundle(pub &'static str);

/// What the head of a bundle says (gitformat-bundle(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Commits that whoever takes the bundle must have.
    pub needs: Vec<String>,
    /// Commits and the refs that point at them.
    pub refs: Vec<(String, String)>,
    /// Where the pack begins, in bytes from the start.
    pub pack_at: usize,
}

impl Head {
    /// The commit of a ref.
    ///
    /// # Errors
    /// [`BadBundle`] when the ref is not there, or there twice.
    pub fn commit(&self, name: &str) -> Result<&str, BadBundle> {
        let mut all = self.refs.iter().filter(|(_, known)| known == name);
        match (all.next(), all.next()) {
            (Some((commit, _)), None) => Ok(commit),
            (None, _) => Err(BadBundle("it does not have the branch that was asked for")),
            (Some(_), Some(_)) => Err(BadBundle("it has the branch that was asked for twice")),
        }
    }
}

/// Forty hexadecimal digits in lower case: the id of an object.
pub fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Reads the head of a bundle from its first bytes.
///
/// # Errors
/// [`BadBundle`] when it is none, when it is made for another kind of repository, or when its head is too long.
pub fn parse_head(bytes: &[u8]) -> Result<Head, BadBundle> {
    let mut head = Head::default();
    let mut at = 0;
    let mut number = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let end = rest.iter().take(LONGEST_HEAD).position(|byte| *byte == b'\n');
        let end = end.ok_or(BadBundle("its head does not end"))?;
        let line = &rest[..end];
        at += end + 1;
        number += 1;
        if at > LONGEST_HEAD || number > MOST_LINES {
            return Err(BadBundle("its head is too long"));
        }
        if number == 1 {
            if line != b"# v2 git bundle" && line != b"# v3 git bundle" {
                return Err(BadBundle("it is no git bundle"));
            }
            continue;
        }
        if line.is_empty() {
            head.pack_at = at;
            return Ok(head);
        }
        if line.starts_with(b"@") {
            if line != b"@object-format=sha1" {
                return Err(BadBundle("it has a capability beside `object-format=sha1`"));
            }
            continue;
        }
        read_line(line, &mut head)?;
    }
}

fn read_line(line: &[u8], head: &mut Head) -> Result<(), BadBundle> {
    let (line, is_need) = match line.strip_prefix(b"-") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (id, rest) = line.split_at_checked(40).ok_or(BadBundle("a line of its head is too short"))?;
    let id = std::str::from_utf8(id).ok().filter(|id| is_id(id)).ok_or(BadBundle("its head has a bad id"))?;
    if is_need {
        // What follows is a comment.
        head.needs.push(id.to_owned());
        return Ok(());
    }
    let name = rest.strip_prefix(b" ").and_then(|name| std::str::from_utf8(name).ok());
    let name = name.filter(|name| !name.is_empty()).ok_or(BadBundle("a ref of its head has no name"))?;
    head.refs.push((id.to_owned(), name.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_head_is_read_and_anything_odd_is_refused() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let text =
            format!("# v2 git bundle\n-{one} a comment \u{e9}\n{two} HEAD\n{two} refs/heads/x\n\nPACK");
        let head = parse_head(text.as_bytes()).unwrap();
        assert_eq!((head.needs.as_slice(), head.commit("HEAD")), (&[one.clone()][..], Ok(two.as_str())));
        assert_eq!(&text[head.pack_at..], "PACK");
        assert!(head.commit("refs/heads/y").is_err());
        for bad in [
            String::new(),
            "PACK".into(),
            "# v4 git bundle\n\n".into(),
            format!("# v2 git bundle\n{two} HEAD\n"),
            format!("# v2 git bundle\n{two}\n\n"),
            format!("# v2 git bundle\n{two} \n\n"),
            format!("# v2 git bundle\n{} HEAD\n\n", "G".repeat(40)),
            "# v2 git bundle\nshort\n\n".into(),
            format!("# v3 git bundle\n@filter=blob:none\n{two} HEAD\n\n"),
            format!("# v3 git bundle\n@object-format=sha256\n{two}{two} HEAD\n\n"),
            format!("# v2 git bundle\n{}\n", format!("{two} HEAD\n").repeat(300)),
            format!("# v2 git bundle\n{two} {}\n\n", "x".repeat(LONGEST_HEAD)),
        ] {
            assert!(parse_head(bad.as_bytes()).is_err(), "taken: {bad:.60}");
        }
        let twice = format!("# v2 git bundle\n{one} HEAD\n{two} HEAD\n\n");
        assert!(parse_head(twice.as_bytes()).unwrap().commit("HEAD").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200), real in any::<bool>()) {
            let mut whole = if real { b"# v2 git bundle\n".to_vec() } else { Vec::new() };
            whole.extend(bytes);
            if let Ok(head) = parse_head(&whole) {
                prop_assert!(head.pack_at <= whole.len());
            }
        }
    }
}
