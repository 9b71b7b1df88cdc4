// The tile registers of AMX: eight of 16 rows of 64 bytes, which are configured for a thread.

constexpr int kAmxRows = 16;     // of a register
constexpr int kBlockPairs = 16;  // of bfloat16 in a row of a register
constexpr int kAmxRegisters = 8;

// GCC's intrinsic reads 64 bytes, but says of 8 that it does.
static inline void load_config(const void* config) {
  asm volatile("" ::"r"(config) : "memory");
  _tile_loadconfig(config);
}

// The configuration belongs to the thread, and whoever else uses the registers (oneDNN) expects its own.
static void begin_tiles(unsigned char (&saved)[kTileConfigBytes]) {
  struct Config {
    unsigned char palette;
    unsigned char start_row;
    unsigned char reserved[14];
    uint16_t row_bytes[16];
    unsigned char n_rows[16];
  } config = {};
  static_assert(sizeof(Config) == kTileConfigBytes, "as the instruction reads it");
  config.palette = 1;
  for (int k = 0; k < kAmxRegisters; ++k) {
    config.row_bytes[k] = kBlockPairs * sizeof(float);
    config.n_rows[k] = kAmxRows;
  }
  _tile_storeconfig(saved);
  load_config(&config);
}

static void end_tiles(const unsigned char (&saved)[kTileConfigBytes]) { load_config(saved); }
