//! Who may read what a run writes: nobody who may not read all of its sources.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Those who may read all of some files, besides their owner and root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// All users.
    #[default]
    Everyone,
    /// The members of the group with this number.
    Group(u32),
    /// Nobody else.
    Owner,
}

impl Audience {
    /// Who may read a file: by its own permissions, and those of all directories above its real path. An access
    /// control list counts as closed to others, whatever it says, and so does what cannot be looked at.
    pub fn of(path: &Path, file: &Metadata) -> Audience {
        let Ok(real) = std::fs::canonicalize(path) else { return Audience::Owner };
        let readers = match has_acl(&real) {
            true => Audience::Owner,
            false => Audience::by_bits(file, READ),
        };
        real.ancestors().skip(1).fold(readers, |audience, directory| {
            let visitors = match directory.metadata() {
                Ok(metadata) if !has_acl(directory) => Audience::by_bits(&metadata, SEARCH),
                _ => Audience::Owner,
            };
            audience.and(visitors)
        })
    }

    /// Who may read all of these files.
    pub fn of_all<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Audience {
        let of_one = |path: &Path| match path.metadata() {
            Ok(metadata) => Audience::of(path, &metadata),
            Err(_) => Audience::Owner,
        };
        paths.into_iter().map(of_one).fold(Audience::Everyone, Audience::and)
    }

    /// Who has a permission, given as the bit of others. Those in the group have it by the group's bit alone.
    fn by_bits(metadata: &Metadata, others: u32) -> Audience {
        let group = others << 3;
        match metadata.mode() & (group | others) {
            both if both == group | others => Audience::Everyone,
            one if one == group => Audience::Group(metadata.gid()),
            _ => Audience::Owner,
        }
    }

    /// Those who are of both audiences.
    pub fn and(self, other: Audience) -> Audience {
        match (self, other) {
            (Audience::Everyone, audience) | (audience, Audience::Everyone) => audience,
            (one, another) if one == another => one,
            _ => Audience::Owner,
        }
    }

    /// The permission bits of others and of the group that a file of ours may have.
    fn bits(self, path: &Path, metadata: &Metadata) -> u32 {
        match self {
            Audience::Everyone => 0o066,
            Audience::Group(group) if metadata.gid() == group && !has_acl(path) => 0o040,
            Audience::Group(_) | Audience::Owner => 0,
        }
    }

    /// Lets this audience read a file or directory of ours, less the umask: one that was created for its owner alone.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn admit(self, path: &Path) -> io::Result<()> {
        let metadata = path.symlink_metadata()?;
        let mut bits = self.bits(path, &metadata);
        if metadata.is_dir() {
            bits |= (bits & 0o044) >> 2;
        }
        let mode = metadata.mode() & 0o7777;
        let wider = mode | bits & !umask();
        match wider == mode {
            true => Ok(()),
            false => std::fs::set_permissions(path, std::fs::Permissions::from_mode(wider)),
        }
    }

    /// Lets this audience read a file of ours that replaces another with this mode, as far as that one did.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn admit_as(self, path: &Path, replaced: u32) -> io::Result<()> {
        let bits = self.bits(path, &path.symlink_metadata()?);
        let mode = replaced & (0o700 | bits);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    }

    /// Whether a file has more readers than this audience.
    pub fn is_exceeded_by(self, path: &Path, file: &Metadata) -> bool {
        match self {
            Audience::Everyone => false,
            _ if has_acl(path) => true,
            Audience::Group(group) if file.gid() == group => file.mode() & 0o004 != 0,
            Audience::Group(_) | Audience::Owner => file.mode() & 0o044 != 0,
        }
    }
}

const READ: u32 = 0o004;
const SEARCH: u32 = 0o001;

/// Whether a file or directory has an access control list with more than its permission bits, or whether that cannot
/// be known. Linux keeps none that says no more than they do (acl(5)).
#[cfg(target_os = "linux")]
fn has_acl(path: &Path) -> bool {
    use rustix::io::Errno;
    let size = rustix::fs::getxattr(path, c"system.posix_acl_access", &mut [0_u8; 0]);
    !matches!(size, Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS))
}
#[cfg(not(target_os = "linux"))]
fn has_acl(_: &Path) -> bool {
    false
}

/// The process's umask, which can only be read by setting it.
fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    rustix::process::umask(mask);
    // The type differs from system to system.
    #[allow(clippy::unnecessary_cast)]
    {
        mask.bits() as u32
    }
}
