from fixtures import finished, in_tmp_path, small_data, workplace

__all__ = ["finished", "in_tmp_path", "small_data", "workplace"]
