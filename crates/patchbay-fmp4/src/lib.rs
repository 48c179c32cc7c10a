//! Tracks of the hub as fragmented MP4 (ISO/IEC 14496-12, CMAF).
