//! The doors for viewers, on a service in process: what they answer, to whom, and how they end.

mod bandwidth;
mod leaving;
mod mse;
mod mse_away;
mod pages;
mod pictures;
mod websocket;
mod whep;
mod world;
