//! What the redactor looks for is every form of every secret: each is wiped before its memory is given back. The allocator of
//! this program looks at each block that is freed or grown out of.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use secrecy::SecretString;
use tollgate_plugin::{Keys, Redactor};

/// Bytes that stand in no other block of this program, and what they are in the forms that are looked for: in hexadecimal of
/// either case, in base64 behind none, one and two other bytes, percent-encoded, and in JSON.
const SECRET: &str = "\"Kw7 needle Zq9~\"";
const FORMS: [&[u8]; 8] = [
    b"Kw7 needle Zq9~",
    b"4b7737206e6565646c65205a71397e",
    b"4B7737206E6565646C65205A71397E",
    b"t3NyBuZWVkbGUgWnE5",
    b"LdzcgbmVlZGxlIFpxOX4",
    b"S3c3IG5lZWRsZSBacTl+",
    b"Kw7%20needle%20Zq9",
    b"Kw7+needle+Zq9~",
];

struct Watched;

static LOOKS: AtomicBool = AtomicBool::new(false);
static FOUND: AtomicUsize = AtomicUsize::new(0);
static SEEN: AtomicUsize = AtomicUsize::new(0);

fn look(block: &[u8]) {
    if LOOKS.load(Ordering::SeqCst) {
        SEEN.fetch_add(1, Ordering::SeqCst);
        for form in FORMS {
            let holds = block.windows(form.len()).any(|window| window == form);
            FOUND.fetch_add(usize::from(holds), Ordering::SeqCst);
        }
    }
}

// SAFETY: each call goes to the system's allocator as it came; what is looked at is a block that is still the caller's.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promised. Zeroed, so that every byte of a block may be looked at.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is `layout.size()` bytes, all of which were set when it was made.
        look(unsafe { std::slice::from_raw_parts(block, layout.size()) });
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

#[test]
fn no_form_of_a_secret_is_left_in_memory_that_was_freed() {
    let secret = SecretString::from(SECRET);
    LOOKS.store(true, Ordering::SeqCst);
    let redactor = Redactor::new(&Keys::none(), &[secret]);
    let clean = redactor.text("before it, and after");
    drop(redactor);
    LOOKS.store(false, Ordering::SeqCst);
    assert_eq!(clean, "before it, and after");
    assert!(SEEN.load(Ordering::SeqCst) > 10, "blocks were looked at");
    assert_eq!(FOUND.load(Ordering::SeqCst), 0);

    // The look is sharp: a copy of each that nobody wipes is found.
    LOOKS.store(true, Ordering::SeqCst);
    FORMS.iter().for_each(|form| drop(form.to_vec()));
    LOOKS.store(false, Ordering::SeqCst);
    assert_eq!(FOUND.load(Ordering::SeqCst), FORMS.len());
}
