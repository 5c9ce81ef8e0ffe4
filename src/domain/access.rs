//! Who may do what: roles, and the person behind a key.

use serde::{Deserialize, Serialize};

use super::ids::{KeyId, UserId};

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
