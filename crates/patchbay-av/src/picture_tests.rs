use super::*;
use opencv::prelude::MatTrait;

#[test]
fn sizes_are_checked() {
    assert!(PictureSize::new(640, 480).is_ok());
    for (width, height) in [(641, 480), (640, 479), (0, 480), (14, 480), (640, 8194), (u32::MAX, 2)] {
        let error = PictureSize::new(width, height).unwrap_err();
        assert!(error.to_string().contains("even"), "{error}");
    }
    let small = PictureSize::new(1280, 720).unwrap().scaled_to_width(321);
    assert_eq!((small.width(), small.height()), (320, 180));
    let same = PictureSize::new(640, 480).unwrap().scaled_to_width(9_000);
    assert_eq!((same.width(), same.height()), (640, 480));
}

#[test]
fn buffers_come_back_only_when_nobody_uses_them() {
    let pool = PicturePool::new(PictureSize::new(64, 64).unwrap());
    let picture = pool.take().unwrap().finish();
    let first = picture.plane(Plane::Y).as_ptr();
    drop(picture);
    let again = pool.take().unwrap().finish();
    assert_eq!(again.plane(Plane::Y).as_ptr(), first, "the buffer is used again");
    let shared = again.share().unwrap();
    drop(again);
    let other = pool.take().unwrap().finish();
    assert_ne!(other.plane(Plane::Y).as_ptr(), first, "somebody still looks at the first buffer");
    drop(shared);
}

#[test]
fn a_matrix_covers_its_plane() {
    let pool = PicturePool::new(PictureSize::new(70, 34).unwrap());
    let mut canvas = pool.take().unwrap();
    for plane in Plane::ALL {
        canvas.plane_mut(plane).fill(0);
        canvas.draw(plane, |mat| mat.set_scalar(opencv::core::Scalar::all(200.0))).unwrap();
    }
    let picture = canvas.finish();
    for plane in Plane::ALL {
        let (rows, columns) = (34 / usize::from(plane.divisor()), 70 / usize::from(plane.divisor()));
        for row in picture.plane(plane).chunks(picture.stride(plane)).take(rows) {
            assert!(row[..columns].iter().all(|byte| *byte == 200));
        }
    }
}
