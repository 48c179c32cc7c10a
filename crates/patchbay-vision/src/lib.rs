//! What is done with pictures on their way: a clock over them, masks, another size, and the search for what moves.
