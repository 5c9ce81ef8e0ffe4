//! Who may do what: roles, and the person behind a key.

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    audit::Act,
    ids::{KeyId, UserId},
    records::KeyInfo,
};

/// What a key allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Talks and works, as one user.
    Developer,
    /// Runs the place.
    Owner,
}

impl Role {
    /// The word that is stored and typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Owner => "owner",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Developer, Self::Owner].into_iter().find(|role| role.as_str() == text)
    }
}

/// Somebody who showed a valid key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The key that was shown; `None` for the local command line.
    pub key: Option<KeyId>,
    /// Name of the key, for the audit log.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// The user it acts as.
    pub user: UserId,
    /// It may act as other users too.
    pub acts_for_others: bool,
    /// The channel its messages come in on.
    pub channel: &'static str,
}

/// A request that this person may not make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The role is too low.
    #[error("this needs the role {}, and the key has {}", .needed.as_str(), .has.as_str())]
    Role {
        /// What it takes.
        needed: Role,
        /// What the key has.
        has: Role,
    },
    /// It is another user's.
    #[error(
        "this key acts for the user {0} only; an owner may create one with --act-for-others that may name others"
    )]
    OtherUser(UserId),
}

impl Principal {
    /// Checks the role.
    ///
    /// # Errors
    /// [`Denied::Role`] when it is too low.
    pub fn needs(&self, needed: Role) -> Result<(), Denied> {
        if self.role >= needed { Ok(()) } else { Err(Denied::Role { needed, has: self.role }) }
    }

    /// The user that a request is for: the one it names, or the key's own.
    ///
    /// # Errors
    /// [`Denied::OtherUser`] when it names one that this key may not act for.
    pub fn acting_as(&self, named: Option<UserId>) -> Result<UserId, Denied> {
        match named {
            None => Ok(self.user.clone()),
            Some(user) if user == self.user || self.acts_for_others => Ok(user),
            Some(_) => Err(Denied::OtherUser(self.user.clone())),
        }
    }

    /// The user whose things a list shows; `None` for everybody's, which an owner sees who names nobody.
    ///
    /// # Errors
    /// As [`Principal::acting_as`].
    pub fn looking_at(&self, named: Option<UserId>) -> Result<Option<UserId>, Denied> {
        if named.is_none() && self.role == Role::Owner {
            return Ok(None);
        }
        self.acting_as(named).map(Some)
    }
}

/// What every key begins with, so that a leaked one is recognised.
const KEY_PREFIX: &str = "atoll_";

/// A key from 32 bytes that nobody can guess.
pub fn key_text(secret: &[u8; 32]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(secret))
}

/// What is stored of a key. Keys are random and long, so one round of SHA-256 is enough.
pub fn hash_key(key: &str) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(key.as_bytes()).into()
}

/// A key's name cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's name must have 1 to 64 characters; without --user it must also be a user's name: {0}")]
pub struct BadKeyName(String);

/// What is stored of a fresh key, and the act that is noted for it. An owner's key acts as the default user and
/// may act for others; any other acts as a user of its own name, unless it is said otherwise.
///
/// # Errors
/// [`BadKeyName`] when the name is empty, too long, or no user's name where it must be one.
pub fn fresh_key(
    id: KeyId,
    name: &str,
    role: Role,
    user: Option<UserId>,
    acts_for_others: Option<bool>,
    now: Millis,
) -> Result<(KeyInfo, Act), BadKeyName> {
    let name = name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(BadKeyName(name));
    }
    let user_id = match user {
        Some(user) => user,
        None if role == Role::Owner => UserId::default_user(),
        None => UserId::parse(&name).map_err(|bad| BadKeyName(bad.to_string()))?,
    };
    let key = KeyInfo {
        id,
        name,
        role,
        user_id,
        acts_for_others: acts_for_others.unwrap_or(role == Role::Owner),
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    let act = Act {
        at: now,
        actor: "local".into(),
        action: "key.created".into(),
        subject: key.id.to_string(),
        details: format!("{} {} {}", key.name, role.as_str(), key.user_id),
    };
    Ok((key, act))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bound_to_its_user_unless_it_may_act_for_others() {
        let mut who = Principal {
            key: None,
            name: "k".into(),
            role: Role::Developer,
            user: UserId::new("ann"),
            acts_for_others: false,
            channel: "api",
        };
        assert_eq!(who.acting_as(None), Ok(UserId::new("ann")));
        assert_eq!(who.acting_as(Some(UserId::new("ann"))), Ok(UserId::new("ann")));
        assert!(who.acting_as(Some(UserId::new("bob"))).is_err());
        who.acts_for_others = true;
        assert_eq!(who.acting_as(Some(UserId::new("bob"))), Ok(UserId::new("bob")));
        assert!(who.needs(Role::Viewer).is_ok() && who.needs(Role::Owner).is_err());
    }
}
