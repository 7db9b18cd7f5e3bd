//! Who may read what a run writes: nobody who may not read all of its sources.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

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
    /// control list counts as closed to others, whatever it says, and so does what cannot be looked at. What is no
    /// regular file does not tell where its bytes come from, so it is its owner's.
    pub fn of(path: &Path, file: &Metadata) -> Audience {
        let Ok(real) = std::fs::canonicalize(path) else { return Audience::Owner };
        let readers = Audience::of_file(&real, file);
        real.ancestors().skip(1).fold(readers, |audience, directory| {
            let visitors = match directory.metadata() {
                Ok(metadata) if !has_acl_at(directory) => Audience::by_bits(&metadata, SEARCH),
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

    /// Who may read a file by its own permissions alone.
    fn of_file(path: &Path, file: &Metadata) -> Audience {
        match file.is_file() && !has_acl_at(path) {
            true => Audience::by_bits(file, READ),
            false => Audience::Owner,
        }
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

    /// Lets this audience read a file or directory of ours, less the umask: one that was created for its owner alone.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn admit(self, path: &Path) -> io::Result<()> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        self.admit_to(&File::options().read(true).custom_flags(flags).open(path)?)
    }

    /// [`Audience::admit`] for an open file.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn admit_to(self, file: &File) -> io::Result<()> {
        self.widen(file, !umask())
    }

    /// Lets this audience read a file of ours that replaces another, as far as that one did.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn admit_instead(self, file: &File, replaced: Replaced) -> io::Result<()> {
        self.and(replaced.readers).widen(file, replaced.mode)
    }

    /// Adds the permission bits of this audience, as far as `most` has them.
    fn widen(self, file: &File, most: u32) -> io::Result<()> {
        let metadata = file.metadata()?;
        let mut bits = match self {
            Audience::Everyone => 0o066,
            Audience::Group(group) if metadata.gid() == group && !has_acl(file) => 0o040,
            Audience::Group(_) | Audience::Owner => 0,
        };
        if metadata.is_dir() {
            bits |= (bits & 0o044) >> 2;
        }
        let mode = metadata.mode() & 0o7777;
        let wider = mode | bits & most;
        match wider == mode {
            true => Ok(()),
            false => file.set_permissions(std::fs::Permissions::from_mode(wider)),
        }
    }

    /// Whether an open file may have a reader who is not of this audience: by its mode, by an access control list, or
    /// because it belongs to another user.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn is_exceeded_by(self, file: &File) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let allowed = match self {
            Audience::Everyone => return Ok(false),
            Audience::Group(group) if metadata.gid() == group => 0o040,
            Audience::Group(_) | Audience::Owner => 0,
        };
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw() || metadata.uid() == 0;
        Ok(!is_ours || has_acl(file) || metadata.mode() & 0o044 & !allowed != 0)
    }
}

/// Who may read a file that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    mode: u32,
    readers: Audience,
}

impl Replaced {
    /// By the file's own permissions.
    pub fn of(path: &Path, file: &Metadata) -> Replaced {
        Replaced { mode: file.mode(), readers: Audience::of_file(path, file) }
    }
}

const READ: u32 = 0o004;
const SEARCH: u32 = 0o001;

/// Whether an open file or directory has an access control list with more than its permission bits, or whether that
/// cannot be known. Linux keeps none that says no more than they do (acl(5)).
#[cfg(target_os = "linux")]
fn has_acl(file: &File) -> bool {
    may_be_acl(rustix::fs::fgetxattr(file, ACL, &mut [0_u8; 0]))
}
#[cfg(target_os = "linux")]
fn has_acl_at(path: &Path) -> bool {
    may_be_acl(rustix::fs::getxattr(path, ACL, &mut [0_u8; 0]))
}
#[cfg(target_os = "linux")]
const ACL: &str = "system.posix_acl_access";
#[cfg(target_os = "linux")]
fn may_be_acl(size: rustix::io::Result<usize>) -> bool {
    use rustix::io::Errno;
    !matches!(size, Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS))
}
#[cfg(not(target_os = "linux"))]
fn has_acl(_: &File) -> bool {
    false
}
#[cfg(not(target_os = "linux"))]
fn has_acl_at(_: &Path) -> bool {
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
